# boards, flash, enrol, replace, wipe: a board from its box to its bed, and away from it.
target_sources(tool PRIVATE ${CMAKE_CURRENT_LIST_DIR}/board_file.c ${CMAKE_CURRENT_LIST_DIR}/boards.c ${CMAKE_CURRENT_LIST_DIR}/flash.c
    ${CMAKE_CURRENT_LIST_DIR}/yaml_json.c ${CMAKE_CURRENT_LIST_DIR}/daemon_run.c ${CMAKE_CURRENT_LIST_DIR}/enrolment.c
    ${CMAKE_CURRENT_LIST_DIR}/enrolment_check.c ${CMAKE_CURRENT_LIST_DIR}/enrol.c ${CMAKE_CURRENT_LIST_DIR}/replace.c
    ${CMAKE_CURRENT_LIST_DIR}/wipe.c)
target_link_libraries(tool PRIVATE PkgConfig::YAML)
