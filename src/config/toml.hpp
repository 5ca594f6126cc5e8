// SPDX-License-Identifier: BSD-2-Clause
//
// toml++ as this room uses it: compiled into toml_reader.cpp, which defines TOML_IMPLEMENTATION,
// and without exceptions. Debian's shared library throws, and lets values nest so deeply that
// freeing them can overrun the stack.
#pragma once

#define TOML_HEADER_ONLY 0
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 8

// Version 3.3 asserts some things just before it checks them, such as the character after "[["
// (upstream's pull request 301): "[[[" in a file would end a debug build, and with NDEBUG clang
// takes the assertion for a fact and drops the check. The checks are right, so assert nothing.
#define TOML_ASSERT(expr) static_assert(true)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")
