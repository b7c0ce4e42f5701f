# What bootloader, node and tool share: image format, slots, update. The host's build of it is for the tool and the tests;
# bootloader_build.sh builds the boards'.
include_guard(GLOBAL)
find_library(MBEDCRYPTO_LIBRARY mbedcrypto REQUIRED)
wardgate_room(image SOURCES ${CMAKE_CURRENT_LIST_DIR}/image.c LINK drivers_core)
wardgate_room(slots
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/bootloader.c ${CMAKE_CURRENT_LIST_DIR}/bootloader_heap.c
        ${CMAKE_CURRENT_LIST_DIR}/image_verify.c ${CMAKE_CURRENT_LIST_DIR}/slots.c ${CMAKE_CURRENT_LIST_DIR}/update_server.c
    LINK image ${MBEDCRYPTO_LIBRARY})
