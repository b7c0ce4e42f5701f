# boards, flash, enrol, replace, wipe: a board from its box to its bed, and away from it.
target_sources(tool PRIVATE ${CMAKE_CURRENT_LIST_DIR}/board_file.c ${CMAKE_CURRENT_LIST_DIR}/boards.c ${CMAKE_CURRENT_LIST_DIR}/flash.c)
target_link_libraries(tool PRIVATE PkgConfig::YAML)
