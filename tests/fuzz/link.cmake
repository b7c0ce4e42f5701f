wardgate_fuzz_target(link_watch_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_watch_fuzz.c LINK link)
wardgate_fuzz_target(link_mqtt_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_mqtt_fuzz.c LINK link)
wardgate_fuzz_target(link_screen_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_screen_fuzz.c LINK link)
