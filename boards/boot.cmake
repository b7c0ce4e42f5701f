# The node's image for each slot of the boards that have a bootloader: targets BOARD_node_a and BOARD_node_b, to be signed with
# `wardgate sign`. mbedTLS (its hash) is Debian's source, as in the bootloader.
set(mbedtls ${CMAKE_BINARY_DIR}/mbedtls)
add_custom_command(OUTPUT ${mbedtls}/fetched
    COMMAND sh ${CMAKE_SOURCE_DIR}/firmware/bootloader_mbedtls.sh ${mbedtls}
    COMMAND ${CMAKE_COMMAND} -E touch ${mbedtls}/fetched
    COMMENT "Fetching the source of mbedtls" VERBATIM)
file(GLOB boards RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/*/boot.c)
foreach(path ${boards})
    get_filename_component(board ${path} DIRECTORY)
    board_value(${board} cpu cpu)
    board_value(${board} slot_size size)
    set(objects)
    foreach(name sha256 platform_util)
        set(object ${CMAKE_BINARY_DIR}/boards/${board}/${name}.o)
        add_custom_command(OUTPUT ${object}
            COMMAND ${ARM_GCC} -mcpu=${cpu} -mthumb -Os -w -ffunction-sections "-ffile-prefix-map=${mbedtls}/source/=mbedtls/"
                "-DMBEDTLS_CONFIG_FILE=\"firmware/bootloader_mbedtls.h\"" -I${CMAKE_SOURCE_DIR} -I${mbedtls}/source/include
                -c ${mbedtls}/source/library/${name}.c -o ${object}
            DEPENDS ${mbedtls}/fetched ${CMAKE_SOURCE_DIR}/firmware/bootloader_mbedtls.h VERBATIM)
        list(APPEND objects ${object})
    endforeach()
    add_custom_target(${board}_hash DEPENDS ${objects})
    node_sources(${board} sources flags)
    list(APPEND sources firmware/image.c firmware/image_verify.c firmware/slots.c firmware/update.c firmware/update_node.c
        firmware/update_server.c)
    foreach(slot a b)
        board_value(${board} slot_${slot} base)
        wardgate_image(node_${slot} BOARD ${board} BASE ${base} SIZE ${size} HEADER 0x200 SOURCES ${sources} FLAGS ${flags}
            -I${mbedtls}/source/include "-DMBEDTLS_CONFIG_FILE=\"firmware/bootloader_mbedtls.h\"" ${objects})
        add_dependencies(${board}_node_${slot} ${board}_hash)
    endforeach()
endforeach()
