# Images for the Cortex-M boards, compiled beside the host's programs: one command an image, the house's warnings.
# Included by boards/CMakeLists.txt. Configuring works without the compiler: the boards are then left out, with a word.
find_program(ARM_GCC arm-none-eabi-gcc)
find_program(ARM_OBJCOPY arm-none-eabi-objcopy)
set(ARM_FLAGS -std=c11 -mthumb -Os -g -ffunction-sections -fdata-sections -fno-strict-aliasing -fstack-usage
    -fcallgraph-info=su -Wall -Wextra -Wconversion -Wshadow -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -D_GNU_SOURCE "-DWARDGATE_VERSION=\"${PROJECT_VERSION}\"" "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/="
    -I${CMAKE_SOURCE_DIR} -nostartfiles --specs=nosys.specs -Wl,--gc-sections
    -L${CMAKE_SOURCE_DIR}/firmware)

# board_value(BOARD KEY OUT): a scalar of boards/BOARD/board.yaml
function(board_value board key out)
    file(STRINGS ${CMAKE_SOURCE_DIR}/boards/${board}/board.yaml line REGEX "^${key}:")
    string(REGEX REPLACE "^${key}: *" "" value "${line}")
    set(${out} "${value}" PARENT_SCOPE)
endfunction()

# wardgate_image(NAME BOARD board SOURCES ... [BASE address] [SIZE bytes] [HEADER bytes] [FLAGS ...]):
# <build>/boards/BOARD/NAME.elf, .bin and .map. Without BASE it is linked for the whole flash; for a slot give the slot's
# address and size and HEADER 0x200, where the image's header goes. Sources are from the project's root.
function(wardgate_image name)
    cmake_parse_arguments(IMAGE "" "BOARD;BASE;SIZE;HEADER" "SOURCES;FLAGS" ${ARGN})
    set(out ${CMAKE_BINARY_DIR}/boards/${IMAGE_BOARD})
    board_value(${IMAGE_BOARD} cpu cpu)
    if(NOT IMAGE_BASE)
        board_value(${IMAGE_BOARD} flash_base IMAGE_BASE)
        board_value(${IMAGE_BOARD} flash_size IMAGE_SIZE)
    endif()
    if(NOT IMAGE_HEADER)
        set(IMAGE_HEADER 0)
    endif()
    file(MAKE_DIRECTORY ${out}/${name})
    list(TRANSFORM IMAGE_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/)
    file(GLOB headers ${CMAKE_SOURCE_DIR}/firmware/*.h ${CMAKE_SOURCE_DIR}/drivers/*.h)
    set(script ${CMAKE_SOURCE_DIR}/boards/${IMAGE_BOARD}/link.ld)
    add_custom_command(OUTPUT ${out}/${name}.elf ${out}/${name}.bin
        COMMAND ${ARM_GCC} -mcpu=${cpu} ${ARM_FLAGS} ${IMAGE_FLAGS} ${IMAGE_SOURCES}
            -Wl,--defsym,FLASH_BASE=${IMAGE_BASE},--defsym,FLASH_SIZE=${IMAGE_SIZE},--defsym,FLASH_HEADER=${IMAGE_HEADER}
            -T ${script} -Wl,-Map=${out}/${name}.map -o ${out}/${name}.elf
        COMMAND ${ARM_OBJCOPY} -O binary ${out}/${name}.elf ${out}/${name}.bin
        DEPENDS ${IMAGE_SOURCES} ${headers} ${script} ${CMAKE_SOURCE_DIR}/firmware/cortex_m.ld
        WORKING_DIRECTORY ${out}/${name}
        COMMENT "Firmware for ${IMAGE_BOARD}: ${name}" VERBATIM)
    add_custom_target(${IMAGE_BOARD}_${name} DEPENDS ${out}/${name}.elf)
    add_dependencies(boards ${IMAGE_BOARD}_${name})
endfunction()
