# Room base: a test a file of gateway/base.
foreach(name clock zone ids crypto seal file log config control pki year_2038)
    wardgate_unit_test(base_${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/base_${name}_test.c LINK base)
endforeach()
