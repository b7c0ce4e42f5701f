# Another wall clock for one process; loaded by the test alone, never linked. It has both names of open(), which
# the headers would make one of.
add_library(clock_shim SHARED ${CMAKE_CURRENT_LIST_DIR}/clock/clock_shim.c)
target_link_libraries(clock_shim PRIVATE house)
target_compile_options(clock_shim PRIVATE -U_FILE_OFFSET_BITS -U_FORTIFY_SOURCE -fno-sanitize=all)
set_target_properties(clock_shim PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/system)
