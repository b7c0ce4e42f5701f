include(${CMAKE_SOURCE_DIR}/gateway/tool/emulate.cmake)
foreach(name ports_frame ports_framings ports_modbus ports_serial)
    wardgate_unit_test(${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c
        LINK ports emulate)
endforeach()
