# Room wire: a test a file of gateway/wire, and the contract's page.
foreach(name record gap_devices decimal envelope receipt ranges topics terms contract)
    wardgate_unit_test(wire_${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/wire_${name}_test.c LINK wire)
endforeach()
target_link_libraries(wire_terms_test PRIVATE drivers) # what drivers say must have a term
