# Intake into the ledger: readings a second, CPU a reading, bytes a reading.
add_executable(ledger_bench ${CMAKE_CURRENT_LIST_DIR}/ledger_bench.c)
target_link_libraries(ledger_bench PRIVATE house chart)
set_target_properties(ledger_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
