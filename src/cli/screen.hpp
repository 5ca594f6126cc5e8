// SPDX-License-Identifier: BSD-2-Clause
//
// What a terminal is told so that a view takes the place of the one before. Three sequences that
// every terminal knows (ECMA-48) are all it needs: no library, and no mode to undo when it ends.
#pragma once

#include <cstddef>
#include <string>

namespace tallygate::cli {

struct ScreenSize {
    std::size_t columns = 80;
    std::size_t rows = 24;
};

/// `text` from the upper left corner on, each line cut to the width and all of it to the height, so
/// that nothing scrolls; what stood there before is gone. The cursor ends below it.
std::string on_screen(const std::string &text, ScreenSize size);

} // namespace tallygate::cli
