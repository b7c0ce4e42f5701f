# A recording through every emulated device and back through the bus.
include(${CMAKE_SOURCE_DIR}/gateway/tool/emulate.cmake)
wardgate_program(emulators SOURCES ${CMAKE_CURRENT_LIST_DIR}/emulators/emulators.c LINK bedside emulate)
target_compile_definitions(emulators PRIVATE "EMULATE=\"$<TARGET_FILE:emulate_only>\"")
add_dependencies(emulators emulate_only)
set_target_properties(emulators PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/system)
