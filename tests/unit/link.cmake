set(rig ${CMAKE_CURRENT_LIST_DIR}/link_rig.c)
wardgate_unit_test(link_mqtt_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_mqtt_test.c ${rig} LINK link)
wardgate_unit_test(link_tls_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_tls_test.c ${rig} LINK link)
wardgate_unit_test(link_watch_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_watch_test.c LINK link)
