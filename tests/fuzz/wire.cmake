# Room wire: everything that a broker may hand us.
foreach(name envelope receipt state)
    wardgate_fuzz_target(${name}_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_fuzz.c LINK wire)
endforeach()
