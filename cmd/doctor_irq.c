/*
 * Sound cards and their interrupts. A card that shares its interrupt line waits for the other
 * driver's work each time; a USB one that is put to sleep has to wake first.
 */
#include "doctor.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ----------------------------------------------------------------------------------
 */

/* " 0 [PCH            ]: HDA-Intel - HDA Intel PCH": the lines between go into detail. */
static void read_cards(struct doctor *d)
{
    struct doctor_irq *q = &d->irq;
    char *text = doctor_read(d->root, "/proc/asound/cards"), *at = text, *line;
    q->card_count = text ? 0 : -1;
    while (text && doctor_next_line(&at, &line)) {
        char id[17];
        int number;
        if (sscanf(line, " %3d [%16[^] ]", &number, id) != 2)
            continue;
        q->card_count++;
        doctor_add(q->cards, sizeof q->cards, "%d %s", number, id);
        q->usb_audio |= strstr(line, "USB-Audio") != NULL;
    }
    free(text);
}

/* Is that interface the one by which a sound device is controlled? Each has one. */
static bool controls_sound(const struct doctor *d, const char *folder, const char *name)
{
    char path[320], class[8], subclass[8];
    snprintf(path, sizeof path, "%s/%.100s/bInterfaceClass", folder, name);
    bool known = doctor_read_line(d->root, path, class, sizeof class);
    snprintf(path, sizeof path, "%s/%.100s/bInterfaceSubClass", folder, name);
    return known && doctor_read_line(d->root, path, subclass, sizeof subclass) &&
           !strcmp(class, "01") && !strcmp(subclass, "01");
}

static void read_usb_interface(const char *name, void *arg)
{
    struct doctor *d = arg;
    struct doctor_irq *q = &d->irq;
    static const char *const folder = "/sys/bus/usb/devices";
    char path[320], text[64], product[48];
    int length = (int)strcspn(name, ":");
    if (!name[length] || strlen(name) > 100 || !controls_sound(d, folder, name))
        return;
    snprintf(path, sizeof path, "%s/%.*s/product", folder, length, name);
    if (!doctor_read_line(d->root, path, product, sizeof product) || !*product)
        snprintf(product, sizeof product, "USB %.*s", length > 40 ? 40 : length, name);
    q->usb_audio = true;
    q->usb_count++;
    snprintf(path, sizeof path, "%s/%.*s/power/control", folder, length, name);
    if (doctor_read_line(d->root, path, text, sizeof text) && !strcmp(text, "auto"))
        doctor_add(q->suspends, sizeof q->suspends, "%s", product);
}

/* Is this the driver of a sound card, or of the bus that one hangs on? */
static bool is_sound(const struct doctor_irq *q, const char *drivers)
{
    return strstr(drivers, "snd_") || strstr(drivers, "sof-audio") || strstr(drivers, "AudioDSP") ||
           (q->usb_audio && strstr(drivers, "hci_hcd"));
}

/* " 16:  120  3  IO-APIC  16-fasteoi  ehci_hcd:usb1, snd_hda_intel:card1": the number, how often it
 * came, and who is called. False for other lines. */
struct irq_line {
    const char *number;
    int64_t count;
    char *drivers;
    int shared_by;
};
static bool cut_line(char *line, struct irq_line *l)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return false;
    *colon = '\0';
    *l = (struct irq_line){.number = line + strspn(line, " "), .shared_by = 1};
    char *at = colon + 1;
    for (;;) {
        int64_t n;
        at += strspn(at, " ");
        size_t digits = strspn(at, "0123456789");
        if (!digits || digits > 18 || (at[digits] && at[digits] != ' '))
            break;
        char *end = at + digits;
        bool is_last = !*end;
        *end = '\0';
        if (doctor_number(at, &n) && l->count < INT64_MAX / 2)
            l->count += n;
        at = end + (is_last ? 0 : 1);
    }
    /* The last word before the first comma is the first driver. */
    char *comma = strchr(at, ','), *end = comma ? comma : at + strlen(at);
    while (end > at && end[-1] == ' ')
        end--;
    while (end > at && end[-1] != ' ')
        end--;
    l->drivers = end;
    for (const char *c = end; *c; c++)
        l->shared_by += *c == ',';
    return *l->drivers != '\0';
}

static void read_lines(struct doctor *d)
{
    struct doctor_irq *q = &d->irq;
    char *text = doctor_read(d->root, "/proc/interrupts"), *at = text, *line;
    q->line_count = text ? 0 : -1;
    while (text && doctor_next_line(&at, &line)) {
        struct irq_line l;
        if (!cut_line(line, &l) || !is_sound(q, l.drivers))
            continue;
        q->line_count++;
        if (l.shared_by <= q->shared_by)
            continue;
        q->shared_by = l.shared_by;
        snprintf(q->line_number, sizeof q->line_number, "%s", l.number);
        snprintf(q->line, sizeof q->line, "%.8s: %.80s", l.number, l.drivers);
    }
    free(text);
}

void doctor_irq_read(struct doctor *d)
{
    d->irq = (struct doctor_irq){.card_count = -1};
    read_cards(d);
    doctor_each_name(d->root, "/sys/bus/usb/devices", read_usb_interface, d);
    read_lines(d);
}

void doctor_irq_count(const struct doctor *d, struct doctor_counters *c)
{
    c->interrupts = -1;
    if (!*d->irq.line_number)
        return;
    char *text = doctor_read(d->root, "/proc/interrupts"), *at = text, *line;
    while (text && doctor_next_line(&at, &line)) {
        struct irq_line l;
        if (cut_line(line, &l) && !strncmp(l.number, d->irq.line_number, 15))
            c->interrupts = l.count;
    }
    free(text);
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

static void judge_cards(struct doctor *d)
{
    const struct doctor_irq *q = &d->irq;
    if (q->card_count < 0)
        doctor_find(d, "interrupts", "cards", "sound cards", DOCTOR_UNKNOWN, "",
                    "not readable, or no ALSA");
    else
        doctor_find(d, "interrupts", "cards", "sound cards", DOCTOR_NOTE, "", "%s",
                    q->card_count ? q->cards : "none");
}

static void judge_line(struct doctor *d)
{
    const struct doctor_irq *q = &d->irq;
    if (q->line_count < 0) {
        doctor_unknown(d, "interrupts", "irq", "their interrupt");
        return;
    }
    if (!q->line_count) {
        doctor_find(d, "interrupts", "irq", "their interrupt", DOCTOR_NOTE, "alone", "none");
        return;
    }
    bool is_shared = q->shared_by > 1;
    int64_t rise = doctor_rise(d->measured.before.interrupts, d->measured.after.interrupts);
    doctor_find(d, "interrupts", "irq", "their interrupt", is_shared ? DOCTOR_NOTABLE : DOCTOR_GOOD,
                "alone", "%s", q->line);
    if (!is_shared)
        return;
    struct doctor_advice *a =
        doctor_advise(d, "irq", DOCTOR_NOTABLE, rise,
                      "put the sound card into another slot or port, or unload the driver beside "
                      "it, so that it has an interrupt of its own");
    if (rise >= 0)
        doctor_because(d, a, "interrupt %s; it came %lld times while measuring", q->line,
                       (long long)rise);
    else
        doctor_because(d, a, "interrupt %s", q->line);
}

static void judge_usb(struct doctor *d)
{
    const struct doctor_irq *q = &d->irq;
    if (!q->usb_count)
        return;
    bool suspends = *q->suspends;
    doctor_find(d, "interrupts", "usb", "USB sound", suspends ? DOCTOR_MINOR : DOCTOR_GOOD,
                "always on", "%s%s", suspends ? "may sleep: " : "always on", q->suspends);
    if (suspends)
        doctor_because(d,
                       doctor_advise(d, "usb", DOCTOR_MINOR, -1,
                                     "keep USB sound awake: write `on` into power/control of the "
                                     "device in /sys/bus/usb/devices"),
                       "may be put to sleep: %s", q->suspends);
}

void doctor_irq_judge(struct doctor *d)
{
    judge_cards(d);
    judge_line(d);
    judge_usb(d);
}
