include_guard()
# The lines: acquisition, one thread each. Read by CMakeLists.txt of this room.
find_package(Threads REQUIRED)
target_sources(bedside PRIVATE acquire.c bus.c bus_lend.c bus_modbus.c bus_node.c aged.c bus_queue.c bus_statistics.c bus_stream.c bus_trust.c)
target_link_libraries(bedside PUBLIC ports drivers Threads::Threads)
