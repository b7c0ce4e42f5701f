# The bed node's pure parts.
wardgate_unit_test(firmware_samples_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/firmware_samples_test.c LINK firmware bedside)
