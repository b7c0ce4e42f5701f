# The lines: ports, bus and acquire against emulated devices on real ptys and sockets.
include(${CMAKE_SOURCE_DIR}/gateway/tool/emulate.cmake)
foreach(name acquire bus_queue bus_trust bus_modbus bus_stream)
    wardgate_unit_test(${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c
        LINK bedside emulate)
endforeach()
