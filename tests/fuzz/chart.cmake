# chart: HL7, ADT and MLLP as they come from other systems.
foreach(part hl7 adt mllp)
    wardgate_fuzz_target(${part}_fuzz SOURCES ${CMAKE_CURRENT_LIST_DIR}/${part}_fuzz.c LINK chart)
endforeach()
