# Emulated devices: a library of its own, because tests put devices on lines too.
if(NOT TARGET emulate)
    if(NOT TARGET PkgConfig::JANSSON)
        pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
    endif()
    wardgate_room(emulate
        SOURCES ${CMAKE_CURRENT_LIST_DIR}/emulate.c ${CMAKE_CURRENT_LIST_DIR}/emulate_device.c
            ${CMAKE_CURRENT_LIST_DIR}/emulate_kinds.c ${CMAKE_CURRENT_LIST_DIR}/emulate_line.c
            ${CMAKE_CURRENT_LIST_DIR}/emulate_options.c ${CMAKE_CURRENT_LIST_DIR}/emulate_source.c
            ${CMAKE_CURRENT_LIST_DIR}/emulate_spoil.c
        LINK ports profile drivers base PkgConfig::JANSSON)
endif()
