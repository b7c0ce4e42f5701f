# wardgated but its lines, which have a list of their own.
foreach(name aged store evict stamp gaps forward config health identities)
    wardgate_unit_test(bedside_${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/bedside_${name}_test.c LINK bedside)
endforeach()
