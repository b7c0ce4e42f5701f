# drivers: one test a source file.
foreach(part cursor checksum decimal decimal_float driver_table nomenclature regmap
        regmap_value nonin_packet nonin_df8 nonin_df13 modbus_slave nonin_emulator)
    if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/drivers_${part}_test.c)
        wardgate_unit_test(drivers_${part}_test
            SOURCES ${CMAKE_CURRENT_LIST_DIR}/drivers_${part}_test.c LINK drivers)
    endif()
endforeach()
# Every serial driver through the same trials, from one table.
wardgate_unit_test(driver_conformance_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/driver_conformance_test.c
            ${CMAKE_CURRENT_LIST_DIR}/driver_conformance_frames.c LINK drivers)
wardgate_unit_test(drivers_medibus_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/drivers_medibus_test.c LINK drivers)
# The emulated oximeters and the Ivy, and their drivers.
wardgate_unit_test(drivers_serial_emulators_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/drivers_serial_emulators_test.c LINK drivers)
# Devices with an emulator and a test of their own.
foreach(part series50 wristband capnostream corometrics pb840 bis_vista alaris fresenius)
    wardgate_unit_test(drivers_${part}_test
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/drivers_${part}_test.c LINK drivers)
endforeach()
# DRI: sentinels, labels, the cuff, stuffing and the session.
wardgate_unit_test(drivers_dri_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/drivers_dri_test.c LINK drivers)
# Servo-i: session, scales, flips, allow-list.
wardgate_unit_test(drivers_servo_i_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/drivers_servo_i_test.c LINK drivers)
# BCC: stuffing, blocks, pumps, the session and the allow-list.
wardgate_unit_test(drivers_bcc_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/drivers_bcc_test.c LINK drivers)
