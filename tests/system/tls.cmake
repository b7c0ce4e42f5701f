# The product's path to the broker against bad peers; peers_test.py makes the peers.
wardgate_program(link_probe SOURCES ${CMAKE_CURRENT_LIST_DIR}/tls/link_probe.c LINK link)
