/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames of every driver that driver_conformance_test.c knows: those of the makers'
 * documents, and one for each sentinel of each field.
 */
#include "driver_conformance.h"

#define B CONFORMANCE_BYTES

static const struct conformance_frame contec_v7_frames[] = {
    {"97/72/2.35", B("\x01\xA0\x85\xBC\x87\xC8\xE1\xEB\x80"),
     "149530=72 150456=97 150448=235e-2 ", 0, 0},
    {"88/142/0.90", B("\x01\x88\xE5\xD0\x89\x8E\xD8\xDA\x80"),
     "149530=142 150456=88 150448=90e-2 ", 0, 0},
    {"probe off", B("\x01\xE9\x80\xC0\x80\xFF\xFF\xFF\xFF"),
     "149530=- q4 150456=- q4 150448=- q4 ", 0, 0},
    {"a real one", B("\x01\xE0\x84\x93\x92\xBC\xE3\xFF\xFF"),
     "149530=60 150456=99 150448=- ", 0, 0},
    {"no pulse", B("\x01\xA8\x85\xBC\x87\xFF\xE1\xEB\x80"),
     "149530=- 150456=97 150448=235e-2 ", 0, 0},
    {"no SpO2", B("\x01\xA0\x85\xBC\x87\xC8\xFF\xEB\x80"),
     "149530=72 150456=- 150448=235e-2 ", 0, 0},
    {"no index", B("\x01\xE0\x85\xBC\x87\xC8\xE1\xFF\xFF"),
     "149530=72 150456=97 150448=- ", 0, 0},
    {"searching", B("\x01\xA0\x95\xBC\x87\xC8\xE1\xEB\x80"),
     "149530=72 q2 150456=97 q2 150448=235e-2 q2 ", 0, 0},
    {"zeros", B("\x01\x80\x80\x80\x80\x80\x80\x80\x80"),
     "149530=- q1 150456=- q1 150448=0e-2 ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_request contec_v7_requests[] = {
    {B("\x7D\x81\xA1\x80\x80\x80\x80\x80\x80")},
    {B("\x7D\x81\xAF\x80\x80\x80\x80\x80\x80")},
};

static const struct conformance_frame contec_5byte_frames[] = {
    {"97/72", B("\x85\x3C\x07\x48\x61"), "149530=72 150456=97 ", 0, 0},
    {"88/142", B("\xE5\x50\x49\x0E\x58"), "149530=142 150456=88 ", 0, 0},
    {"finger out", B("\x90\x00\x10\x7F\x7F"), "149530=- q6 150456=- q6 ", 0, 0},
    {"no values", B("\x85\x3C\x07\x7F\x7F"), "149530=- 150456=- ", 0, 0},
    {"no pulse", B("\x85\x3C\x47\x7F\x61"), "149530=- 150456=97 ", 0, 0},
    {"no SpO2", B("\x85\x3C\x07\x48\x7F"), "149530=72 150456=- ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_frame nonin_8500_frames[] = {
    {"97/72", B("SPO2=097 HR=072\r\n"), "149530=72 150456=97 ", 0, 0},
    {"clock", B("12:34:56 SPO2=100 HR=142 F*\r\n"), "149530=142 150456=100 ", 0, 0},
    {"no SpO2", B("SPO2=--- HR=072\r\n"), "149530=72 150456=- ", 0, 0},
    {"no pulse", B("SPO2=097 HR=---\r\n"), "149530=- 150456=97 ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_frame nellcor_frames[] = {
    {"maker's", B("12-NOV-97 14:00:05   100   120   50\r\n"), "149530=120 150456=100 ", 0,
     0},
    {"search", B("12-NOV-97 14:00:05    97    72   50   PS LB\r\n"),
     "149530=72 q2 150456=97 q2 ", 0, 0},
    {"sensor off", B("12-NOV-97 14:00:05    97    72   50   SO\r\n"),
     "149530=- q4 150456=- q4 ", 0, 0},
    {"disconnected", B("12-NOV-97 14:00:05   ---   ---  ---   SD\r\n"),
     "149530=- q4 150456=- q4 ", 0, 0},
    {"limit", B("12-NOV-97 14:00:05    82*   72   50   SL\r\n"), "149530=72 150456=- ", 0,
     0},
    {"no pulse", B("12-NOV-97 14:00:05    97   ---   50\r\n"), "149530=- 150456=97 ", 0,
     0},
    {NULL, NULL, 0, NULL, 0, 0},
};

#define MASIMO_REST                                                                      \
    " PI=02.35% SPCO=--% SPMET=--.-% DESAT=-- PIDELTA=+-- PVI=--- ALARM=0000 EXC="

static const struct conformance_frame masimo_frames[] = {
    {"98/72", B("11/24/26 14:00:05 SN=12345 SPO2=098% BPM=072" MASIMO_REST "000000\r\n"),
     "149530=72 150456=98 ", 0, 0},
    {"exception", B("11/24/26 14:00:05 SN=1 SPO2=098% BPM=072" MASIMO_REST "000400\r\n"),
     "149530=72 q2 150456=98 q2 ", 0, 0},
    {"no SpO2", B("11/24/26 14:00:05 SN=1 SPO2=---% BPM=072" MASIMO_REST "000000\r\n"),
     "149530=72 150456=- ", 0, 0},
    {"no pulse", B("11/24/26 14:00:05 SN=1 SPO2=098% BPM=---" MASIMO_REST "000000\r\n"),
     "149530=- 150456=98 ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

#define IVY_WAVES 9, 400

static const struct conformance_frame ivy_frames[] = {
    {"all",
     B("\xFF"
       "ANSAR-B HR=1;80;ECG-II-DIAG;\rRR=1;35;APNEA: 20 SEC;\rETCO2=1;;;\r"
       "SPO2=1;100;PR=80 ;\rNIBP=4;121;75;92;80;;\rP1=3;111;73;88;;\r"
       "P2=3;;;;NO TRANSDUCER;\rT1=1;;;\rT2=1;;;\r\xFE"),
     "147842=80 151562=35 150456=100 149530=80 150021=121 150022=75 150023=92 149546=80 "
     "150017=111 150018=73 150019=88 ",
     IVY_WAVES},
    {"none",
     B("\xFF"
       "ANSAR-B HR=1;;;\rRR=1;;;\rETCO2=1;;;\rSPO2=1;;;\rNIBP=4;;;;;;\rP1=3;;;;;\r"
       "P2=3;;;;NO TRANSDUCER;\rT1=1;;;\rT2=1;;;\r\xFE"),
     "147842=- 151562=- 150456=- 149530=- 150021=- 150022=- 150023=- 149546=- 150017=- "
     "150018=- 150019=- ",
     IVY_WAVES},
    {NULL, NULL, 0, NULL, 0, 0},
};

const struct conformance conformances[] = {
    {"contec-v7", 62, false, 0, false, contec_v7_frames, contec_v7_requests, 2},
    {"contec-5byte", 62, false, 0, false, contec_5byte_frames, NULL, 0},
    {"nonin-8500", 2, false, 13, false, nonin_8500_frames, NULL, 0},
    {"nellcor-n595", 2, false, 9, false, nellcor_frames, NULL, 0},
    {"masimo-ascii1", 2, false, 8, false, masimo_frames, NULL, 0},
    {"ivy-ansar-b", 2, false, 34, true, ivy_frames, NULL, 0},
};

const size_t conformance_count = COUNT(conformances);
