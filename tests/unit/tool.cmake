# Room tool: the program as people run it, and the parts that are worth a test of their own.
if(TARGET wardgate)
    foreach(name pki check daemon boards enrol)
        wardgate_unit_test(tool_${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/tool_${name}_test.c LINK tool)
        target_compile_definitions(tool_${name}_test PRIVATE "WARDGATE_TOOL=\"$<TARGET_FILE:wardgate>\"" "CHECKOUT=\"${CMAKE_SOURCE_DIR}\""
            "WARDGATED=\"$<TARGET_FILE:wardgated>\"")
        add_dependencies(tool_${name}_test wardgate wardgated)
    endforeach()
    # Another wall clock for one program: tests/system/clock.cmake.
    add_dependencies(tool_enrol_test clock_shim)
    target_compile_definitions(tool_enrol_test PRIVATE "WARDGATE_CLOCK_SHIM=\"$<TARGET_FILE:clock_shim>\"")
endif()
