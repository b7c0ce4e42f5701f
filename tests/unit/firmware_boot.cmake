# Image format, slots and update, over the rig of tests/fault/flash.
foreach(part image slots update)
    wardgate_unit_test(firmware_${part}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/firmware_${part}_test.c LINK flash_rig)
endforeach()
