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

static const struct conformance_frame series50_frames[] = {
    {"cuff", B("\x10\x02\x50\x00\x76\x00\x4C\x00\x5A\x01\x49\x10\x03\xEA\x66"),
     "M 150021=118 150022=76 150023=90 149546=8225e-2 ", 0, 0},
    {"temperature", B("\x10\x02\x54\x7A\x10\x03\xCD\x14"), "M 150344=372e-1 ", 0, 0},
    {"saturation", B("\x10\x02\x53\xC4\x01\x52\x10\x03\x2C\x97"),
     "M 150456=980e-1 149530=8450e-2 ", 0, 0},
    {"saturation alone", B("\x10\x02\x53\xBE\xFF\xFF\x10\x03\xB5\x65"),
     "M 150456=950e-1 149530=- ", 0, 0},
    {"10 in the check", B("\x10\x02\x50\x00\x76\x00\x4C\x00\x5A\x02\x23\x10\x03\x2D\x10"),
     "M 150021=118 150022=76 150023=90 149546=13675e-2 ", 0, 0},
    {"one fetus",
     B("\x10\x02\x43\x80\x01\x42\x30\x42\x32\x42\x34\x42\x35\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x1A\x1B\x20\x60\x08\x00\x10\x03\x23"
       "\x48"),
     "M 147842=8400e-2 192724=135e-1 |F1 192715=14125e-2 ", 0, 0},
    {"stuffed",
     B("\x10\x02\x43\x80\x01\x42\x10\x10\x42\x10\x10\x42\x10\x10\x42\x10\x10\x00\x00\x00"
       "\x00\x00\x00\x00\x00\x41\x50\x41\x50\x41\x50\x41\x50\x10\x10\x10\x10\x11\x11\x20"
       "\x60\x08\x00\x10\x03\x07\xFD"),
     "M 147842=8400e-2 192724=85e-1 |F1 192715=13200e-2 ", 0, 0},
    {"twins, offset",
     B("\x10\x02\x43\x80\x03\x42\x1C\x42\x1D\x42\x1E\x4A\x1E\x42\x50\x42\x50\x42\x50\x42"
       "\x50\x21\x68\x21\x68\x21\x68\x21\x68\x3C\x40\x46\x4A\x22\x60\x08\x00\x10\x03\x8C"
       "\x78"),
     "M 147842=9000e-2 q2 192724=370e-1 |F1 192715=13550e-2 q2 |F2 192715=14800e-2 ", 0,
     0},
    {"lifted pen, no MHR",
     B("\x10\x02\x43\x80\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x08\x00\x10\x03\x7C"
       "\xEC"),
     "M 147842=- q4 192724=0e-1 |F1 192715=- ", 0, 0},
    {"coincidence",
     B("\x10\x02\x43\x81\x01\x41\x60\x41\x60\x41\x60\x41\x60\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x60\x41\x60\x41\x60\x41\x60\x14\x14\x14\x14\x20\x60\x08\x00\x10\x03\xD7"
       "\x34"),
     "M 147842=8800e-2 q2 192724=100e-1 |F1 192715=8800e-2 q2 ", 0, 0},
    {"inserted tick, scalp, pressure",
     B("\x10\x02\x43\xC0\x21\x41\xE0\x41\xE0\x41\xDF\x00\x00\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x1E\x1F\x20\x20\x40\x00\x0A\x00\x10\x03\x6F"
       "\x89"),
     "M 147842=- q6 192728=160e-1 q2 |F1 192719=- q2 ", 0, 0},
    {"fetal SpO2",
     B("\x10\x02\x43\x8A\x01\x42\x58\x42\x58\x42\x58\x42\x58\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x16\x16\x16\x16\x20\x00\x08\x30\x10\x03\xE7"
       "\x9F"),
     "M 147842=- q4 192724=110e-1 |F1 192715=15000e-2 150456=48 ", 0, 0},
    {"yellow and red",
     B("\x10\x02\x43\x80\x01\x22\x30\x22\x30\x22\x30\x22\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x01\x50\x01\x50\x01\x50\x01\x50\x19\x19\x19\x19\x20\x60\x08\x00\x10\x03\xC6"
       "\x65"),
     "M 147842=- q1 192724=125e-1 |F1 192715=14000e-2 q2 ", 0, 0},
    {"reserved light, too fast",
     B("\x10\x02\x43\x80\x01\x62\x30\x62\x30\x62\x30\x62\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x44\xB1\x44\xB1\x44\xB1\x44\xB1\x19\x19\x19\x19\x20\x60\x08\x00\x10\x03\x9B"
       "\x19"),
     "M 147842=- q1 192724=125e-1 |F1 192715=- q1 ", 0, 0},
    {"mother on the fetal channel",
     B("\x10\x02\x43\x80\x01\x42\x30\x42\x30\x42\x30\x42\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\x60\x20\x08\x00\x10\x03\x4F"
       "\xD0"),
     "M 147842=- q1 192724=125e-1 |F1 192715=- q1 ", 0, 0},
    {"inoperative",
     B("\x10\x02\x43\x80\x01\x42\x30\x42\x30\x42\x30\x42\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\x30\x70\x08\x00\x10\x03\x2A"
       "\x76"),
     "M 147842=- q1 192724=125e-1 |F1 192715=- q1 ", 0, 0},
    {"unknown transducers",
     B("\x10\x02\x43\x80\x01\x42\x30\x42\x30\x42\x30\x42\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\xE0\xE0\x0E\x00\x10\x03\x8F"
       "\xD1"),
     "M 147842=- q1 192724=- q1 |F1 192715=- q1 ", 0, 0},
    {"no transducers",
     B("\x10\x02\x43\x80\x01\x42\x30\x42\x30\x42\x30\x42\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\x00\x00\x00\x00\x10\x03\x9D"
       "\xBF"),
     "M 147842=- q4 192724=- q4 |F1 192715=- q4 ", 0, 0},
    {"switched off",
     B("\x10\x02\x43\x00\x01\x42\x30\x42\x30\x42\x30\x42\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\x20\x60\x08\x00\x10\x03\xC6"
       "\x9D"),
     "M 147842=- q1 192724=- q1 |F1 192715=- q1 ", 0, 0},
    {"external pulse",
     B("\x10\x02\x43\x80\x01\x42\x30\x42\x30\x42\x30\x42\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\x20\x80\x08\x00\x10\x03\x0F"
       "\xA4"),
     "M 149514=8400e-2 192724=125e-1 |F1 192715=14000e-2 ", 0, 0},
    {"fetal SpO2 of nobody",
     B("\x10\x02\x43\x88\x01\x42\x30\x42\x30\x42\x30\x42\x30\x42\x30\x42\x30\x42\x30\x42"
       "\x30\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\x22\x60\x08\x30\x10\x03\xED"
       "\x03"),
     "M 147842=8400e-2 192724=125e-1 |F1 192715=14000e-2 150456=- q1 |F2 "
     "192715=14000e-2 ",
     0, 0},
    {"fetal SpO2 invalid",
     B("\x10\x02\x43\x88\x01\x42\x30\x42\x30\x42\x30\x42\x30\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x41\x50\x41\x50\x41\x50\x41\x50\x19\x19\x19\x19\x20\x60\x08\x00\x10\x03\x6E"
       "\x81"),
     "M 147842=8400e-2 192724=125e-1 |F1 192715=14000e-2 150456=- q1 ", 0, 0},
    {"no cuff", B("\x10\x02\x50\x00\x00\x00\x00\x00\x00\xFF\xFF\x10\x03\xB6\x66"),
     "M 150021=- q1 150022=- q1 150023=- q1 149546=- ", 0, 0},
    {"no saturation", B("\x10\x02\x53\x00\x00\x00\x10\x03\xD0\x33"),
     "M 150456=- q1 149530=- q1 ", 0, 0},
    {"saturation over 100", B("\x10\x02\x53\xC9\x01\x52\x10\x03\x0D\xED"),
     "M 150456=- q1 149530=8450e-2 ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_request series50_requests[] = {
    {B("\x10\x02?C\x10\x03\xD1\xED")},
    {B("\x10\x02G\x10\x03\x42\x1F")},
};

/* A whole record of the specification's shape: ART, cuff, T1, SpO2, CO2. */
static const struct conformance_frame dri_frames[] = {
    {"basic",
     B("\x7E\x3E\x01\x07\x0A\x34\x12\x95\x5D\x60\x6A\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x01\x00\x00\xFF\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
       "\x00\x00\x00\x00\x00\x95\x5D\x60\x6A\x0B\x00\x00\x00\x20\x01\x48\x00\x01"
       "\x80\x01\x80\x01\x80\x10\x00\x03\x00\x00\x00\x01\x00\x44\x2F\x84\x1C\x60"
       "\x22\x48\x00\x00\x00\x00\x00\x00\x00\x01\x80\x01\x80\x01\x80\x01\x80\x00"
       "\x00\x00\x00\x00\x00\x01\x80\x01\x80\x01\x80\x01\x80\x00\x00\x00\x00\x00"
       "\x00\x01\x80\x01\x80\x01\x80\x01\x80\x03\x00\x00\x00\x00\x00\xD4\x30\x14"
       "\x1E\xF0\x23\x47\x00\x03\x00\x00\x00\x01\x00\x60\x0E\x00\x00\x00\x00\x00"
       "\x00\x01\x80\x00\x00\x00\x00\x00\x00\x01\x80\x00\x00\x00\x00\x00\x00\x01"
       "\x80\x03\x00\x00\x00\x00\x00\xE4\x25\x48\x00\xEB\x00\x01\x80\x03\x00\x00"
       "\x00\x00\x00\x12\x02\x00\x00\x10\x00\xB0\x1D\x00\x00\x00\x00\x00\x00\x01"
       "\x80\x01\x80\x00\x00\x00\x00\x00\x00\x01\x80\x01\x80\x00\x00\x00\x00\x00"
       "\x00\x01\x80\x01\x80\x01\x80\x00\x00\x00\x00\x00\x00\x01\x80\x01\x80\x01"
       "\x80\x01\x80\x01\x80\x01\x80\x01\x80\x01\x80\x00\x00\x00\x00\x00\x00\x01"
       "\x80\x01\x80\x01\x80\x01\x80\x00\x00\x00\x00\x00\x00\x01\x80\x01\x80\x01"
       "\x80\x48\x00\x01\x80\x01\x80\x00\x00\x00\x00\x00\x00\x01\x80\x00\x00\x00"
       "\x00\x00\x00\x01\x80\x01\x80\x01\x80\x01\x80\x00\x00\x00\x00\x00\x00\x01"
       "\x80\x01\x80\x01\x80\x01\x80\x00\x00\x00\x00\x00\x00\x27\x7E"),
     "147842=72 151578=16 150033=12100e-2 150034=7300e-2 150035=8800e-2 150021=12500e-2 "
     "q128 150022=7700e-2 q128 150023=9200e-2 q128 149546=71 q128 150372=3680e-2 "
     "150456=9700e-2 149530=72 151708=530e-2 151716=0e-2 151562=16 ",
     0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_request dri_requests[] = {
    {B("\x7E\x31\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xFF\0\0\0\0\0\0\0"
       "\0\0\0\0\0\0\0\0\0\0\0\x01\x05\0\0\0\0\0\0\0\x36\x7E")},
};

static const struct conformance_frame capnostream_frames[] = {
    {"example",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\x61\x48\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\xF0"),
     "151708=38 151716=0 151594=14 150456=97 149530=72 ", 0, 0},
    {"escaped, none, not off",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\xFF\xFF\xFF\x80\x05\x80\x00\x80\x00\x00\x00\x00\x01"
       "\x20\x23\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\x09"),
     "151708=- 151716=- 151594=- 150456=- q5 149530=- q4 ", 0, 0},
    {"nothing",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\xFF\xFF\xFF\xFF\xFF\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\x0E"),
     "151708=- 151716=- 151594=- 150456=- 149530=- ", 0, 0},
    {"no etCO2",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\xFF\x00\x0E\x61\x48\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\x29"),
     "151708=- 151716=0 151594=14 150456=97 149530=72 ", 0, 0},
    {"no FiCO2",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\xFF\x0E\x61\x48\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\x0F"),
     "151708=38 151716=- 151594=14 150456=97 149530=72 ", 0, 0},
    {"no breath rate",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\xFF\x61\x48\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\x01"),
     "151708=38 151716=0 151594=- 150456=97 149530=72 ", 0, 0},
    {"no SpO2",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\xFF\x48\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\x6E"),
     "151708=38 151716=0 151594=14 150456=- 149530=72 ", 0, 0},
    {"no pulse",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\x61\xFF\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\x47"),
     "151708=38 151716=0 151594=14 150456=97 149530=- ", 0, 0},
    {"zero saturation, pulse",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\xD9"),
     "151708=38 151716=0 151594=14 150456=- q1 149530=- q1 ", 0, 0},
    {"sensor off",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\x61\x48\x80\x00\x00\x00\x00\x00\x20\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\xD0"),
     "151708=38 151716=0 151594=14 150456=- q4 149530=- q4 ", 0, 0},
    {"kPa",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\x61\x48\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x02\x00\xF3"),
     "151708=- q1 151716=- q1 151594=14 150456=97 149530=72 ", 0, 0},
    {"pump off",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\x61\x48\x80\x00\x00\x00\x00\x00\x00\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x04\xF4"),
     "151708=- q4 151716=- q4 151594=- q4 150456=97 149530=72 ", 0, 0},
    {"no pulse found",
     B("\x85\x1C\x01\x6A\x60\x5D\x95\x26\x00\x0E\x61\x48\x80\x00\x00\x00\x00\x00\x01\x00"
       "\x3C\x0F\x1E\x05\x08\x64\x55\x8C\x32\x01\x00\xF1"),
     "151708=38 151716=0 151594=14 150456=97 q2 149530=72 q2 ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_request capnostream_requests[] = {
    {B("\x85\x01\x01\x00")},
    {B("\x85\x01\x04\x05")},
    {B("\x85\x01\x06\x07")},
};

static const struct conformance_frame bcc_frames[] = {
    {"sheet",
     B("\00100080\002BEEEX07/1/1>214,50111,INRT,12.50\036214,50111,INVI,3."
       "1\036214,50111,INM3,1\00300230\004"),
     "157784=1250e-2 157993=31e-1 ", 0, 0},
    {"sheet, not stuffed",
     B("\00100080\002BED07/1/1>214,50111,INRT,12.50\036214,50111,INVI,3.1"
       "\036214,50111,INM3,1\00300230\004"),
     "157784=1250e-2 157993=31e-1 ", 0, 0},
    {"all",
     B("\00100119\002EEex/1/1>9,50123,EXSSTATUS,00051\0369,50123,INRT,0.00"
       "\0369,50123,INVI,0.02\0369,50123,INVTB,500.00\0369,50123,INRMT,360"
       "0\00300019\004"),
     "157784=0e-2 157993=2e-2 157884=50000e-2 157916=3600 ", 0, 0},
    {"no values",
     B("\00100089\002B/1/1>9,50123,INRT,_NV\0369,50123,INVI,_NA\0369,50123"
       ",INVTB,_NV\0369,50123,INRMT,_NA\00300227\004"),
     "157784=- 157993=- q2 157884=- 157916=- q2 ", 0, 0},
    {"no end",
     B("\00100056\002B/1/1>9,50123,INRMT,65535\0369,50123,INRT,_NA\0030014"
       "0\004"),
     "157784=- q2 157916=- ", 0, 0},
    {"stopped",
     B("\00100061\002B/1/1>9,50123,INRMT,600000\0369,50123,INRT,1800.01"
       "\00300016\004"),
     "157784=180001e-2 q8 157916=- ", 0, 0},
    {"off",
     B("\00100059\002B/1/1>9,50123,INRT,5.0\0369,50123,EXSSTATUS,00050\003"
       "00018\004"),
     "157784=- ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_request bcc_requests[] = {
    {B("\00100031\0021/1/1>AEXMIN:ALIVEE\00300061\004")},
    {B("\00100031\002BEEEX07/1/1>MEEM:GEET\00300035\004")},
    {B("\006")},
    {B("\025")},
};

static const struct conformance_frame corometrics_frames[] = {
    {"example",
     B("\x39\x61\x30\x32\x35\x03\x39\x60\x30\x31\x34\x30\x03\x39\x65\x30\x31\x34\x38\x03"
       "\x39\x61\x30\x32\x35\x03\x39\x66\x30\x32\x03"),
     "M 192724=25 q2 |F1 192715=140 q2 ", 0, 0},
    {"lifted heart",
     B("\x39\x61\x30\x32\x35\x03\x39\x60\x30\x30\x30\x03\x39\x65\x30\x38\x34\x03\x39\x61"
       "\x30\x32\x35\x03\x39\x66\x30\x32\x03"),
     "M 192724=25 q2 |F1 192715=- ", 0, 0},
    {"lifted activity",
     B("\x39\x61\x30\x31\x32\x38\x03\x39\x60\x30\x31\x34\x30\x03\x39\x65\x30\x38\x34\x03"
       "\x39\x61\x30\x31\x32\x38\x03\x39\x66\x30\x32\x03"),
     "M 192724=- |F1 192715=140 q2 ", 0, 0},
    {"two digits, mark, modes, movement, paper",
     B("\x39\x61\x30\x30\x30\x03\x39\x60\x30\x39\x35\x03\x39\x65\x30\x30\x30\x03\x39\x61"
       "\x30\x30\x30\x03\x39\x66\x30\x32\x03\x39\x64\x30\x03\x39\x62\x30\x31\x41\x03\x39"
       "\x66\x30\x31\x03\x39\x67\x30\x31\x03\x39\x63\x30\x4E\x49\x42\x50\x20\x31\x31\x38"
       "\x2F\x37\x36\x03"),
     "M 192724=0 q2 |F1 192715=95 q2 ", 0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_frame pb840_frames[] = {
    {"all",
     B("MISCF,1225,169 ,\x02"
       "14:05 ,840 1234567890    ,JUL 22 2026 ,INVASIVE ,A/C   ,VC    ,      ,"
       "V-Trig,14.0  ,0.400 ,      ,21    ,      ,      ,      ,      ,      ,"
       "      ,      ,      ,      ,      ,      ,      ,      ,      ,      ,"
       "      ,      ,      ,      ,      ,      ,      ,      ,      ,      ,"
       "      ,      ,      ,      ,      ,      ,      ,      ,         ,    "
       "  ,      ,HME               ,      ,Enabled  ,      ,      ,      ,   "
       "   ,      ,      ,      ,      ,      ,      ,ADULT    ,      ,      ,"
       "      ,14.0  ,0.378 ,5.290 ,24.0  ,8.6   ,      ,      ,      ,      ,"
       "      ,      ,      ,      ,      ,      ,      ,      ,5.8   ,      ,"
       "      ,      ,      ,      ,      ,18.0  ,      ,      ,      ,      ,"
       "      ,      ,      ,      ,      ,      ,OFF   ,NORMAL,NORMAL,NORMAL,"
       "NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,"
       "NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,"
       "NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,"
       "NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,"
       "NORMAL,NORMAL,NORMAL,NORMAL,NORMAL,      ,      ,      ,      ,      ,"
       "      ,      ,      ,      ,      ,      ,      ,      ,      ,      ,"
       "      ,      ,      ,      ,      ,"
       "\x03\r"),
     "151586=140e-1 151980=378e-3 152008=5290e-3 151973=240e-1 151976=58e-1 "
     "152424=180e-1 16929196=400e-3 ",
     0, 0},
    {NULL, NULL, 0, NULL, 0, 0},
};

static const struct conformance_request pb840_requests[] = {
    {B("SNDF\r")},
};

const struct conformance conformances[] = {
    {"contec-v7", 62, false, 0, false, contec_v7_frames, contec_v7_requests, 2},
    {"contec-5byte", 62, false, 0, false, contec_5byte_frames, NULL, 0},
    {"nonin-8500", 2, false, 13, false, nonin_8500_frames, NULL, 0},
    {"nellcor-n595", 2, false, 9, false, nellcor_frames, NULL, 0},
    {"masimo-ascii1", 2, false, 8, false, masimo_frames, NULL, 0},
    {"ivy-ansar-b", 2, false, 34, true, ivy_frames, NULL, 0},
    {"series50", 2, true, 0, true, series50_frames, series50_requests, 2},
    {"dri", 2, true, 0, false, dri_frames, dri_requests, 1},
    {"capnostream", 2, true, 0, true, capnostream_frames, capnostream_requests, 3},
    {"bcc", 2, true, 0, false, bcc_frames, bcc_requests, 4},
    {"corometrics-115", 4, false, 0, false, corometrics_frames, NULL, 0},
    {"pb840", 2, false, 0, true, pb840_frames, pb840_requests, 1},
};

const size_t conformance_count = COUNT(conformances);
