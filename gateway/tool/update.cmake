# keygen, sign, update: what firmware asks of the tool. The image format is shared with the node (firmware/image.h).
include(${CMAKE_SOURCE_DIR}/firmware/bootloader.cmake)
target_sources(tool PRIVATE ${CMAKE_CURRENT_LIST_DIR}/keygen.c ${CMAKE_CURRENT_LIST_DIR}/sign.c
    ${CMAKE_CURRENT_LIST_DIR}/update.c ${CMAKE_CURRENT_LIST_DIR}/update_file.c ${CMAKE_CURRENT_LIST_DIR}/update_link.c
    ${CMAKE_CURRENT_LIST_DIR}/lend.c)
target_link_libraries(tool PUBLIC image ports drivers_core)
include(${CMAKE_CURRENT_LIST_DIR}/fleet.cmake)
