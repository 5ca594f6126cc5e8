// SPDX-License-Identifier: BSD-2-Clause
//
// What `block` and `allow` show alike.
#pragma once

#include <boost/json/fwd.hpp>

#include <string>

namespace tallygate::cli {

std::string show_added(const boost::json::object &answer);
std::string show_removed(const boost::json::object &answer);
std::string show_entries(const boost::json::object &answer);

} // namespace tallygate::cli
