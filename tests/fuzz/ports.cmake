# ports: Modbus replies as bytes.
wardgate_fuzz_target(modbus_framing_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/modbus_framing_fuzz.c LINK ports)
