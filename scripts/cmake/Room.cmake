# SPDX-License-Identifier: BSD-2-Clause
#
# add_room(<name> SOURCES <files> [ROOMS <rooms>] [LIBRARIES <targets>])
#
# One room of src/ is one static library. ROOMS are the only rooms it may see: DESIGN of the
# tree, drawn in ARCHITECTURE.md, checked by scripts/tidy.py. Headers are included from the
# room's name ("core/ledger.hpp"), so every room shares the one include directory.
set(TALLYGATE_WARNINGS -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)

function(add_room name)
    cmake_parse_arguments(room "" "" "SOURCES;ROOMS;LIBRARIES" ${ARGN})
    add_library(tallygate_${name} STATIC ${room_SOURCES})
    target_include_directories(tallygate_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src
                                                        ${PROJECT_SOURCE_DIR}/include)
    target_compile_options(tallygate_${name} PRIVATE ${TALLYGATE_WARNINGS})
    list(TRANSFORM room_ROOMS PREPEND tallygate_)
    target_link_libraries(tallygate_${name} PUBLIC ${room_ROOMS} ${room_LIBRARIES})
endfunction()

# add_unit_test(<name> SOURCES <files> LIBRARIES <targets> [LABELS <labels>])
function(add_unit_test name)
    cmake_parse_arguments(test "" "" "SOURCES;LIBRARIES;LABELS" ${ARGN})
    string(REPLACE "." "_" target ${name}_test)
    add_executable(${target} ${test_SOURCES})
    # A test is compiled twice for a run of all tests, and runs for a moment.
    target_compile_options(${target} PRIVATE ${TALLYGATE_WARNINGS} -O0 -g1)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${target} PRIVATE ${test_LIBRARIES} GTest::gmock GTest::gtest_main)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY
                          ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${name} COMMAND ${target})
    set_tests_properties(${name} PROPERTIES LABELS "${test_LABELS}" TIMEOUT 300)
endfunction()

# add_fuzzer(<name> <source> <libraries...>): a libFuzzer target, and a short run as a test. What
# the run finds goes into the build tree; the corpus in the source tree is only read.
function(add_fuzzer name source)
    set(found ${CMAKE_CURRENT_BINARY_DIR}/found/${name})
    file(MAKE_DIRECTORY ${found})
    add_executable(${name}_fuzz ${source})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name}_fuzz PRIVATE ${ARGN})
    add_test(NAME fuzz.${name} COMMAND ${name}_fuzz -runs=200000 -max_total_time=10
             -max_len=4096 ${found} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
endfunction()
