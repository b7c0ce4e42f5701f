# How rooms, programs, unit tests and fuzz targets are declared.
find_package(PkgConfig REQUIRED)
set(WARDGATE_SANITIZE "" CACHE STRING "sanitizers for every target, e.g. address,undefined")
option(WARDGATE_FUZZ "build the libFuzzer targets (clang)" OFF)

# The program's own pages are position independent and bound at start; the stack is guarded.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_library(house INTERFACE)
target_compile_options(house INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror
    -Wstrict-prototypes -Wmissing-prototypes -Wvla -fstack-protector-strong
    -fno-strict-aliasing "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/="
    "-ffile-prefix-map=${CMAKE_BINARY_DIR}=build") # the last that fits counts
target_compile_definitions(house INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
    "WARDGATE_VERSION=\"${PROJECT_VERSION}\"")
if(CMAKE_BUILD_TYPE MATCHES "Rel")
    target_compile_definitions(house INTERFACE _FORTIFY_SOURCE=2)
endif()
if(CMAKE_SIZEOF_VOID_P EQUAL 4)
    target_compile_definitions(house INTERFACE _TIME_BITS=64) # the year 2038
endif()
target_include_directories(house INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/gateway)
target_link_options(house INTERFACE -Wl,-z,relro,-z,now)
if(WARDGATE_SANITIZE)
    set(flags -fsanitize=${WARDGATE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(house INTERFACE ${flags})
    target_link_options(house INTERFACE ${flags})
endif()
if(WARDGATE_FUZZ)
    target_compile_options(house INTERFACE -fsanitize=fuzzer-no-link)
endif()

# wardgate_room(NAME SOURCES a.c b.c LINK other_room PkgConfig::X)
function(wardgate_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;LINK" ${ARGN})
    add_library(${name} STATIC ${ROOM_SOURCES})
    target_link_libraries(${name} PUBLIC house ${ROOM_LINK})
endfunction()

# wardgate_program(NAME SOURCES main.c LINK room): goes to <build>/bin
function(wardgate_program name)
    cmake_parse_arguments(PROGRAM "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${PROGRAM_SOURCES})
    target_link_libraries(${name} PRIVATE house ${PROGRAM_LINK})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# wardgate_unit_test(NAME SOURCES x_test.c LINK room): cmocka, run by ctest with label unit
function(wardgate_unit_test name)
    cmake_parse_arguments(UNIT "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${UNIT_SOURCES})
    target_link_libraries(${name} PRIVATE house ${UNIT_LINK} PkgConfig::CMOCKA)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/unit)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()

# wardgate_fuzz_target(NAME SOURCES x_fuzz.c LINK room): only with -DWARDGATE_FUZZ=ON
function(wardgate_fuzz_target name)
    if(NOT WARDGATE_FUZZ)
        return()
    endif()
    cmake_parse_arguments(FUZZ "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${FUZZ_SOURCES})
    target_link_libraries(${name} PRIVATE house ${FUZZ_LINK})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endfunction()

pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
