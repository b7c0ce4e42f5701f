# The bed node: what its bus, an update and a slot bring, and what a gateway reads of a node.
wardgate_fuzz_target(firmware_server_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/firmware_server_fuzz.c LINK firmware)
wardgate_fuzz_target(firmware_image_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/firmware_image_fuzz.c LINK slots)
wardgate_fuzz_target(firmware_update_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/firmware_update_fuzz.c LINK flash_rig)
wardgate_fuzz_target(node_block_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/node_block_fuzz.c LINK drivers)
