# SPDX-License-Identifier: BSD-2-Clause
#
# add_bpf_skeleton(<name> <source.bpf.c>)
#
# Compiles one BPF object, generates its libbpf skeleton, and offers both as the interface
# target <name>_skeleton. Headers are followed through a depfile, so nobody lists them by hand.
find_program(CLANG NAMES clang clang-14 REQUIRED)
find_program(BPFTOOL bpftool REQUIRED PATHS /usr/sbin /sbin)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET GLOBAL libbpf>=1.1)

function(add_bpf_skeleton name source)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
    set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/skeletons/${name}.skel.h)
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/skeletons)

    # -mcpu=v3: clang 14 cannot compile compare-and-swap for its default CPU.
    add_custom_command(OUTPUT ${object}
        COMMAND ${CLANG} --target=bpf -O2 -g -Wall -Wextra -Werror -mcpu=v3
                -I ${PROJECT_SOURCE_DIR}/include -I ${PROJECT_SOURCE_DIR}/bpf
                -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
                -MD -MF ${object}.d
                -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
        DEPENDS ${source}
        DEPFILE ${object}.d
        COMMENT "Compiling the BPF object ${name}"
        VERBATIM)
    add_custom_command(OUTPUT ${skeleton}
        COMMAND sh -c "${BPFTOOL} gen skeleton ${object} name ${name} >${skeleton}.part \
                       && mv ${skeleton}.part ${skeleton}"
        DEPENDS ${object}
        COMMENT "Generating the skeleton of ${name}"
        VERBATIM)

    add_custom_target(${name}_skeleton_file DEPENDS ${skeleton})
    add_library(${name}_skeleton INTERFACE)
    add_dependencies(${name}_skeleton ${name}_skeleton_file)
    target_include_directories(${name}_skeleton SYSTEM INTERFACE
        ${CMAKE_CURRENT_BINARY_DIR}/skeletons)
    target_link_libraries(${name}_skeleton INTERFACE PkgConfig::LIBBPF)
endfunction()
