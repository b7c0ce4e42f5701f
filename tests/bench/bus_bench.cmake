include(${CMAKE_SOURCE_DIR}/gateway/tool/emulate.cmake)
wardgate_program(bus_bench SOURCES ${CMAKE_CURRENT_LIST_DIR}/bus_bench.c LINK bedside emulate)
set_target_properties(bus_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
