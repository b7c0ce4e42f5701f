# drivers, profile: one target a parser of foreign bytes.
foreach(format 2 7 8 13)
    wardgate_fuzz_target(nonin_df${format}_fuzz
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/nonin_fuzz.c LINK drivers)
    if(TARGET nonin_df${format}_fuzz)
        target_compile_definitions(nonin_df${format}_fuzz PRIVATE FUZZ_DRIVER="nonin-df${format}")
    endif()
endforeach()
foreach(part cursor regmap regmap_slave)
    wardgate_fuzz_target(${part}_fuzz
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}_fuzz.c LINK drivers)
endforeach()
wardgate_fuzz_target(profile_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/profile_fuzz.c LINK profile)
wardgate_fuzz_target(medibus_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/medibus_fuzz.c LINK drivers)
wardgate_fuzz_target(servo_i_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/servo_i_fuzz.c LINK drivers)
# Serial drivers, one target each.
foreach(name contec_v7 contec_5byte nonin_8500 nellcor_n595 masimo_ascii1 ivy_ansar_b)
    string(REPLACE _ - driver ${name})
    wardgate_fuzz_target(${name}_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/driver_fuzz.c LINK drivers)
    if(TARGET ${name}_fuzz)
        target_compile_definitions(${name}_fuzz PRIVATE FUZZ_DRIVER="${driver}")
    endif()
endforeach()
# Devices that share a target: the first byte of an input says which of them it is for.
wardgate_fuzz_target(many_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/driver_fuzz.c LINK drivers)
if(TARGET many_fuzz)
    target_compile_definitions(many_fuzz PRIVATE FUZZ_DRIVER="series50","wristband","capnostream","dri","bcc","corometrics-115","pb840","bis-vista","alaris","fresenius")
endif()
