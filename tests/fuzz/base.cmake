# Room base: text that people and feeds bring.
foreach(name config zone)
    wardgate_fuzz_target(${name}_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_fuzz.c LINK base)
endforeach()
