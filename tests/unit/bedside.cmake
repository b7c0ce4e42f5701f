# wardgated's rooms but its lines (profile.cmake and bus.cmake have those).
wardgate_unit_test(bedside_store_test SOURCES bedside_store_test.c LINK bedside)
