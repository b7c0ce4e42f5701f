# profile: YAML to tables.
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/profile_test.c)
wardgate_unit_test(profile_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/profile_test.c LINK profile)
endif()
