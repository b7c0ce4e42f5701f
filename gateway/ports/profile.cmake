# profile: YAML -> regmap. Included by this room's CMakeLists.txt.
if(NOT TARGET PkgConfig::YAML)
    pkg_check_modules(YAML REQUIRED IMPORTED_TARGET GLOBAL yaml-0.1)
endif()
if(NOT TARGET profile)
    wardgate_room(profile SOURCES ${CMAKE_CURRENT_LIST_DIR}/profile.c
        ${CMAKE_CURRENT_LIST_DIR}/profile_check.c
        ${CMAKE_CURRENT_LIST_DIR}/profile_field.c
        ${CMAKE_CURRENT_LIST_DIR}/profile_golden.c
        ${CMAKE_CURRENT_LIST_DIR}/profile_yaml.c
        LINK drivers PkgConfig::YAML)
endif()
