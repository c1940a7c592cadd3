#include "repl/editor.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "repl/history.h"

#define PASTE_MAX ((size_t)1 << 20) /* characters */
#define PASTE_END L"\033[201~"

struct editor {
	EditLine *el;
	History *history;
	locale_t locale; /* of the terminal: the process's own stays "C" */
	FILE *out;
	int signals; /* SIGTSTP and SIGWINCH, as a descriptor */
	bool pastes; /* a terminal of today: it marks what is pasted, and clears its lines */
	bool dropped;
	const char *prompt;
	editor_complete *complete;
	void *data;
	mbstate_t state; /* of the character that is being read */
	struct winsize size;
};

static struct editor *editor_of(EditLine *el)
{
	struct editor *editor = NULL;

	el_get(el, EL_CLIENTDATA, &editor);
	return editor;
}

static char *prompt_of(EditLine *el)
{
	return (char *)editor_of(el)->prompt;
}

/* ---- reading ------------------------------------------------------------------------ */

/* Whether the terminal breaks lines by itself. What is being typed is drawn while it does
 * not, so that libedit ends each row: where the width changes, terminals put together what
 * they broke, and with libedit that would be some rows and others not. While a key is
 * waited for it does, as nobody knows how that ends. */
static void set_wrap(struct editor *editor, bool on)
{
	if (editor->pastes)
		fputs(on ? "\033[?7h" : "\033[?7l", editor->out);
	fflush(editor->out);
}

static void mark_pastes(struct editor *editor, bool on)
{
	if (editor->pastes)
		fputs(on ? "\033[?2004h" : "\033[?2004l", editor->out);
	fflush(editor->out);
}

/* The signal itself is let in, so that it means what it means: nothing where there is
 * no shell to go back to. */
static void stop_process(struct editor *editor)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	el_set(editor->el, EL_PREP_TERM, 0);
	mark_pastes(editor, false);
	set_wrap(editor, true);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	el_set(editor->el, EL_PREP_TERM, 1);
	mark_pastes(editor, true);
	set_wrap(editor, false);
	el_set(editor->el, EL_REFRESH);
}

/* How many rows of the screen are above the cursor's in what is being typed: it was drawn
 * in rows of `drawn` columns, and the terminal breaks them anew where it has less now. */
static int rows_above(struct editor *editor, int drawn, int columns)
{
	const LineInfoW *line = el_wline(editor->el);
	int rows = 0, column = (int)strlen(editor->prompt);

	for (const wchar_t *at = line->buffer; at < line->cursor; at++) {
		int width = *at == L'\t' ? 8 - column % 8 : wcwidth(*at) > 0 ? wcwidth(*at) : 0;

		if (*at == L'\n' || column + width > drawn) {
			rows += 1 + (column > 0 ? column - 1 : 0) / columns;
			column = 0;
		}
		if (*at != L'\n')
			column += width;
	}
	if (column >= drawn)
		return rows + 1 + (column - 1) / columns;
	return rows + column / columns;
}

/* What is being typed is drawn again over what the terminal made of it. */
static void follow_size(struct editor *editor)
{
	struct winsize size;
	int rows, drawn = editor->size.ws_col;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 ||
		(size.ws_col == editor->size.ws_col && size.ws_row == editor->size.ws_row))
		return;
	editor->size = size;
	el_resize(editor->el);
	rows = editor->pastes && size.ws_col && drawn > 0 ? rows_above(editor, drawn, size.ws_col)
							  : 0;
	if (rows)
		fprintf(editor->out, "\033[%dA", rows);
	if (editor->pastes)
		fputs("\r\033[J", editor->out);
	el_set(editor->el, EL_REFRESH);
}

static void take_signal(struct editor *editor)
{
	struct signalfd_siginfo info;

	if (read(editor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP)
		stop_process(editor);
	else
		follow_size(editor);
}

/* Wait until a byte can be read. False when a signal asks to stop: those are let in
 * only while this waits, so that none is missed between the look and the wait. */
static bool wait_input(struct editor *editor)
{
	static const int asking[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = editor->signals, .events = POLLIN},
	};
	sigset_t block, before;
	bool stop;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(asking) / sizeof(asking[0]); i++)
		sigaddset(&block, asking[i]);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	while (!(stop = interrupt_signal() != 0)) {
		fds[0].revents = fds[1].revents = 0;
		if (ppoll(fds, 2, NULL, &before) < 0)
			continue;
		if (fds[1].revents) {
			set_wrap(editor, false);
			take_signal(editor);
			set_wrap(editor, true);
		}
		if (fds[0].revents)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !stop;
}

/* libedit's source of characters: 1, 0 at the end, -1 on failure. Bytes that are no
 * characters are left out. */
static int read_character(EditLine *el, wchar_t *character)
{
	struct editor *editor = editor_of(el);

	for (;;) {
		ssize_t count;
		char byte;

		set_wrap(editor, true);
		editor->dropped = !wait_input(editor);
		set_wrap(editor, false);
		if (editor->dropped)
			return -1;
		count = read(STDIN_FILENO, &byte, 1);
		if (count < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (count <= 0)
			return (int)count;
		switch (mbrtowc(character, &byte, 1, &editor->state)) {
		case (size_t)-1:
			memset(&editor->state, 0, sizeof(editor->state));
			continue;
		case (size_t)-2:
			continue;
		default:
			return 1;
		}
	}
}

/* ---- keys --------------------------------------------------------------------------- */

/* The text before the cursor, to be freed. */
static char *text_before(EditLine *el)
{
	const LineInfo *line = el_line(el);

	return strndup(line->buffer, (size_t)(line->cursor - line->buffer));
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\n")] == '\0';
}

static unsigned char key_complete(EditLine *el, int character)
{
	struct editor *editor = editor_of(el);
	cleanup(cleanup_free) char *before = text_before(el);
	struct editor_completion completion = {0};
	unsigned char result = CC_REFRESH_BEEP;

	(void)character;
	if (!before || !editor->complete)
		return CC_ERROR;
	if (is_blank(before))
		return el_insertstr(el, "  ") < 0 ? CC_ERROR : CC_REFRESH;
	editor->complete(editor->data, before, &completion);
	if (completion.insert && *completion.insert && el_insertstr(el, completion.insert) == 0)
		result = CC_REFRESH;
	if (completion.listing) {
		set_wrap(editor, true);
		fprintf(editor->out, "\n%s%s", editor->pastes ? "\033[J" : "", completion.listing);
		set_wrap(editor, false);
		el_set(el, EL_REFRESH);
		result = CC_NORM;
	}
	free(completion.insert);
	free(completion.listing);
	return result;
}

struct text {
	wchar_t *data;
	size_t len, room;
};

static bool add_character(struct text *text, wchar_t character)
{
	if (text->len + 1 >= text->room) {
		size_t room = text->room ? 2 * text->room : 4096;
		wchar_t *data = realloc(text->data, room * sizeof(*data));

		if (!data)
			return false;
		text->data = data;
		text->room = room;
	}
	text->data[text->len++] = character;
	text->data[text->len] = L'\0';
	return true;
}

static bool ends_paste(const struct text *text)
{
	size_t len = wcslen(PASTE_END);

	return text->len >= len && wmemcmp(text->data + text->len - len, PASTE_END, len) == 0;
}

/* Carriage returns stand for newlines; other controls have no business in a line, and
 * neither have newlines at the end. */
static void clean(struct text *text)
{
	size_t out = 0;

	for (size_t i = 0; i < text->len; i++) {
		wchar_t c = text->data[i];

		if (c == L'\r' && i + 1 < text->len && text->data[i + 1] == L'\n')
			continue;
		if (c == L'\r')
			c = L'\n';
		if (c >= L' ' ? c != 0x7f : c == L'\n' || c == L'\t')
			text->data[out++] = c;
	}
	while (out > 0 && text->data[out - 1] == L'\n')
		out--;
	text->data[out] = L'\0';
	text->len = out;
}

/* Read up to the end of what is pasted, which is not in the text. Of what is too much only
 * the end is kept, which is looked for. */
static bool read_paste(EditLine *el, struct text *text, bool *too_much)
{
	size_t len = wcslen(PASTE_END);
	wchar_t c;

	do {
		if (el_wgetc(el, &c) != 1 || !add_character(text, c))
			return false;
		if (text->len > PASTE_MAX) {
			*too_much = true;
			wmemmove(text->data, text->data + text->len - len, len + 1);
			text->len = len;
		}
	} while (!ends_paste(text));
	text->len -= len;
	text->data[text->len] = L'\0';
	return true;
}

/* What is pasted goes in as it is: a tab completes nothing, a newline ends nothing. */
static unsigned char key_paste(EditLine *el, int character)
{
	struct editor *editor = editor_of(el);
	struct text text = {0};
	bool too_much = false;
	unsigned char result = CC_REFRESH_BEEP;

	(void)character;
	if (read_paste(el, &text, &too_much) && !too_much) {
		clean(&text);
		if (!text.len || el_winsertstr(el, text.data) == 0)
			result = CC_REFRESH;
	}
	free(text.data);
	if (too_much) {
		fputs("\nwhat was pasted is left out: it is over 1 MiB\n", editor->out);
		el_set(el, EL_REFRESH);
		result = CC_NORM;
	}
	return result;
}

/* The beginning of the line of the text that `at` is in. */
static const wchar_t *line_start(const LineInfoW *line, const wchar_t *at)
{
	while (at > line->buffer && at[-1] != L'\n')
		at--;
	return at;
}

static const wchar_t *line_end(const LineInfoW *line, const wchar_t *at)
{
	while (at < line->lastchar && *at != L'\n')
		at++;
	return at;
}

/* Move to a column of the line that begins at `start`, or to its end. */
static unsigned char go(EditLine *el, const LineInfoW *line, const wchar_t *start, ptrdiff_t column)
{
	const wchar_t *end = line_end(line, start);
	const wchar_t *to = end - start < column ? end : start + column;

	el_cursor(el, (int)(to - line->cursor));
	return CC_CURSOR;
}

/* The arrows move in a text of several lines, and beyond it in the history. */
static unsigned char key_up(EditLine *el, int character)
{
	const LineInfoW *line = el_wline(el);
	const wchar_t *start = line_start(line, line->cursor);

	(void)character;
	if (start > line->buffer)
		return go(el, line, line_start(line, start - 1), line->cursor - start);
	el_wpush(el, L"\020");
	return CC_NORM;
}

static unsigned char key_down(EditLine *el, int character)
{
	const LineInfoW *line = el_wline(el);
	const wchar_t *end = line_end(line, line->cursor);

	(void)character;
	if (end < line->lastchar)
		return go(el, line, end + 1, line->cursor - line_start(line, line->cursor));
	el_wpush(el, L"\016");
	return CC_NORM;
}

static void bind_keys(EditLine *el)
{
	static const struct {
		const char *keys, *name;
	} bindings[] = {
		{"^I", "banger-complete"},
		{"\\e[200~", "banger-paste"},
		{"\\e[A", "banger-up"},
		{"\\eOA", "banger-up"},
		{"\\e[B", "banger-down"},
		{"\\eOB", "banger-down"},
		{"^P", "ed-prev-history"},
		{"^N", "ed-next-history"},
		{"^R", "em-inc-search-prev"},
		{"\\e[H", "ed-move-to-beg"},
		{"\\e[F", "ed-move-to-end"},
		{"\\e[1~", "ed-move-to-beg"},
		{"\\e[4~", "ed-move-to-end"},
		{"\\e[3~", "ed-delete-next-char"},
		{"\\e[1;5C", "em-next-word"},
		{"\\e[1;5D", "ed-prev-word"},
		{"^W", "ed-delete-prev-word"},
	};

	/* Wide, as el_set would never free the copies it makes of these. */
	el_wset(el, EL_ADDFN, L"banger-complete", L"Complete", key_complete);
	el_wset(el, EL_ADDFN, L"banger-paste", L"Take what is pasted", key_paste);
	el_wset(el, EL_ADDFN, L"banger-up", L"The line above", key_up);
	el_wset(el, EL_ADDFN, L"banger-down", L"The line below", key_down);
	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++)
		el_set(el, EL_BIND, bindings[i].keys, bindings[i].name, NULL);
}

/* ---- the editor --------------------------------------------------------------------- */

/* The user's locale; UTF-8 where that is "C", which has no characters beyond ASCII. */
static locale_t terminal_locale(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);

	if (locale && strncmp(nl_langinfo_l(CODESET, locale), "ANSI_X3.4", 9) == 0) {
		freelocale(locale);
		locale = (locale_t)0;
	}
	return locale ? locale : newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static bool start(struct editor *editor, const char *terminal)
{
	HistEvent event;

	editor->el = el_init("banger-lua", stdin, editor->out, stderr);
	editor->history = history_init();
	if (!editor->el || !editor->history)
		return false;
	if (terminal)
		el_set(editor->el, EL_TERMINAL, terminal);
	if (editor->pastes)
		el_set(editor->el, EL_SETTC, "am", "no", NULL); /* see set_wrap */
	history(editor->history, &event, H_SETSIZE, HISTORY_ENTRIES);
	history(editor->history, &event, H_SETUNIQUE, 1);
	el_set(editor->el, EL_CLIENTDATA, editor);
	el_set(editor->el, EL_SIGNAL, 0);
	el_set(editor->el, EL_EDITOR, "emacs");
	el_set(editor->el, EL_PROMPT, prompt_of);
	el_set(editor->el, EL_HIST, history, editor->history);
	el_set(editor->el, EL_GETCFN, read_character);
	el_source(editor->el, NULL);
	bind_keys(editor->el);
	return true;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGWINCH);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct editor *editor_new(const char *terminal, int fd, struct err *err)
{
	struct editor *editor = calloc(1, sizeof(*editor));
	locale_t before;
	bool started;

	if (!editor) {
		err_errno(err, ENOMEM, "start the line editor");
		return NULL;
	}
	editor->prompt = "> ";
	editor->out = fd == STDERR_FILENO ? stderr : stdout;
	editor->pastes = terminal && *terminal && strcmp(terminal, "dumb") != 0;
	editor->locale = terminal_locale();
	editor->signals = open_signals();
	before = uselocale(editor->locale);
	started = start(editor, terminal);
	uselocale(before);
	if (!started || editor->signals < 0) {
		err_errno(err, errno, "start the line editor");
		editor_free(editor);
		return NULL;
	}
	return editor;
}

void editor_free(struct editor *editor)
{
	if (!editor)
		return;
	if (editor->el)
		el_end(editor->el);
	if (editor->history)
		history_end(editor->history);
	if (editor->locale)
		freelocale(editor->locale);
	if (editor->signals >= 0)
		close(editor->signals);
	free(editor);
}

void editor_set_complete(struct editor *editor, editor_complete *complete, void *data)
{
	editor->complete = complete;
	editor->data = data;
}

/* libedit goes no further than to an entry that it cannot show. */
void editor_remember(void *data, const char *entry)
{
	struct editor *editor = data;
	locale_t locale = uselocale(editor->locale);
	HistEvent event;

	if (mbstowcs(NULL, entry, 0) != (size_t)-1)
		history(editor->history, &event, H_ENTER, entry);
	uselocale(locale);
}

/* What ended a read that gave no line. */
static enum editor_input ended(struct editor *editor)
{
	if (editor->dropped && interrupt_signal() == SIGINT) {
		interrupt_clear();
		fputs("^C\n", editor->out);
		return EDITOR_DROPPED;
	}
	fputc('\n', editor->out);
	return EDITOR_END;
}

enum editor_input editor_read(
	struct editor *editor, const char *prompt, const char **line, size_t *len)
{
	locale_t locale = uselocale(editor->locale);
	enum editor_input input = EDITOR_LINE;
	sigset_t block, before;
	int count = 0;

	editor->prompt = prompt;
	editor->dropped = false;
	memset(&editor->state, 0, sizeof(editor->state));
	sigemptyset(&block);
	sigaddset(&block, SIGTSTP);
	sigaddset(&block, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	ioctl(STDIN_FILENO, TIOCGWINSZ, &editor->size);
	el_resize(editor->el);
	el_set(editor->el, EL_PREP_TERM, 1); /* before there is a prompt to answer */
	mark_pastes(editor, true);
	set_wrap(editor, false);
	*line = el_gets(editor->el, &count);
	set_wrap(editor, true);
	mark_pastes(editor, false);
	if (!*line || count <= 0)
		input = ended(editor);
	else
		*len = (size_t)count - ((*line)[count - 1] == '\n');
	fflush(editor->out);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	uselocale(locale);
	return input;
}

#define TEXT(x)   #x
#define NUMBER(x) TEXT(x)

const char *editor_version(void)
{
	return NUMBER(LIBEDIT_MAJOR) "." NUMBER(LIBEDIT_MINOR);
}
