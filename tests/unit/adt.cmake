# The ADT side of the chart room: HL7, MLLP, messages, census, match, charting interval.
foreach(name hl7 mllp adt adt_bad census census_order interleave match due)
    wardgate_unit_test(chart_${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/chart_${name}_test.c LINK chart)
endforeach()
