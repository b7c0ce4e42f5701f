# The lines: ports, bus and acquire against emulated devices on real ptys and sockets.
include(${CMAKE_SOURCE_DIR}/gateway/tool/emulate.cmake)
foreach(name acquire bus_queue bus_trust bus_modbus bus_framings bus_stream bus_scan bus_lend)
    wardgate_unit_test(${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c
        LINK bedside emulate)
endforeach()
wardgate_program(emulate_only SOURCES ${CMAKE_CURRENT_LIST_DIR}/emulate_only.c LINK emulate)
set_target_properties(emulate_only PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/helpers)
wardgate_unit_test(emulate_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/emulate_test.c LINK bedside emulate)
target_compile_definitions(emulate_test PRIVATE "EMULATE=\"$<TARGET_FILE:emulate_only>\"")
add_dependencies(emulate_test emulate_only)
wardgate_unit_test(emulate_spoil_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/emulate_spoil_test.c LINK emulate)
wardgate_unit_test(bus_node_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/bus_node_test.c LINK firmware bedside)
