#include "guest/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD         4096 /* bytes of a file that are looked at: the headers lie there */
#define INTERPRETERS 4    /* as deep as the kernel goes */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE
#endif

/* ---- environment ------------------------------------------------------------------------- */

static size_t name_len(const char *entry)
{
	return strcspn(entry, "=");
}

int program_env_set(struct list *env, char *entry)
{
	size_t len = name_len(entry) + 1;

	for (size_t i = 0; i < env->count; i++) {
		if (strncmp(env->items[i], entry, len) == 0) {
			env->items[i] = entry;
			return 0;
		}
	}
	return list_add(env, entry);
}

const char *program_env_get(const struct list *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->items[i], name, len) == 0 && env->items[i][len] == '=')
			return env->items[i] + len + 1;
	return NULL;
}

int program_env(struct list *env, const struct list *defaults, const struct list *image)
{
	for (size_t i = 0; i < defaults->count; i++)
		if (program_env_set(env, defaults->items[i]) < 0)
			return -1;
	for (size_t i = 0; i < image->count; i++) {
		char *entry = image->items[i];

		if (*entry == '=' || !strchr(entry, '='))
			say("the environment's entry '%s' is not NAME=value: left out", entry);
		else if (program_env_set(env, entry) < 0)
			return -1;
	}
	return 0;
}

/* ---- where it is ------------------------------------------------------------------------- */

/* 0, or an exit code and the reason. */
static int check(const char *file, struct why *why)
{
	struct stat st;

	if (stat(file, &st) < 0) {
		bool absent = errno == ENOENT || errno == ENOTDIR;

		why_set(why, "%s: %s", file, absent ? "not found" : strerror(errno));
		return absent ? PROGRAM_NOT_FOUND : PROGRAM_NOT_EXECUTABLE;
	}
	if (S_ISREG(st.st_mode) && access(file, X_OK) == 0)
		return 0;
	why_set(why, "%s: %s", file, S_ISDIR(st.st_mode) ? "is a directory" : "is not executable");
	return PROGRAM_NOT_EXECUTABLE;
}

/* A file that may not be run is told of only when no later directory has a better one. */
static int search(char found[PROGRAM_PATH_MAX], const char *name, const char *path, struct why *why)
{
	struct why reason;
	int rc = PROGRAM_NOT_FOUND;

	why_set(why, "%s: not found in PATH=%s", name, path);
	for (const char *dir = path;; dir++) {
		int len = (int)strcspn(dir, ":");
		int code, need = snprintf(found, PROGRAM_PATH_MAX, "%.*s%s%s", len, dir,
				  len ? "/" : "./", name);

		code = need < PROGRAM_PATH_MAX ? check(found, &reason) : PROGRAM_NOT_FOUND;
		if (code == 0)
			return 0;
		if (code == PROGRAM_NOT_EXECUTABLE && rc != code) {
			*why = reason;
			rc = code;
		}
		dir += len;
		if (!*dir)
			return rc;
	}
}

int program_find(char found[PROGRAM_PATH_MAX], const char *name, const char *path, struct why *why)
{
	if (!strchr(name, '/') && *name)
		return search(found, name, path, why);
	if (snprintf(found, PROGRAM_PATH_MAX, "%s", name) >= PROGRAM_PATH_MAX) {
		why_set(why, "the program's path is longer than %d bytes", PROGRAM_PATH_MAX - 1);
		return PROGRAM_NOT_FOUND;
	}
	return check(found, why);
}

/* ---- why it does not run ----------------------------------------------------------------- */

/* The beginning of a file. What is read of it is data of the image: nothing in it is
 * trusted, and what is cut off is not there. */
struct head {
	char bytes[HEAD + 1]; /* a zero byte follows */
	size_t len;
};

static int read_head(struct head *head, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, head->bytes, HEAD);
	close(fd);
	if (n < 0)
		return -1;
	head->len = (size_t)n;
	head->bytes[n] = '\0';
	return 0;
}

static bool is_elf(const struct head *head)
{
	return head->len >= EI_NIDENT && memcmp(head->bytes, ELFMAG, SELFMAG) == 0;
}

/* A number in it; 0 for one beyond its end. Both machines have the low byte first. */
static uint64_t number_at(const struct head *head, uint64_t at, size_t width)
{
	uint64_t number = 0;

	if (at <= head->len && width <= head->len - at)
		memcpy(&number, head->bytes + at, width);
	return number;
}

/* The loader that an ELF program names, of either class; NULL for a static one. */
static const char *loader(const struct head *head)
{
	bool wide = head->bytes[EI_CLASS] == ELFCLASS64;
	uint64_t at = wide ? number_at(head, offsetof(Elf64_Ehdr, e_phoff), 8)
			   : number_at(head, offsetof(Elf32_Ehdr, e_phoff), 4);
	uint64_t count = wide ? number_at(head, offsetof(Elf64_Ehdr, e_phnum), 2)
			      : number_at(head, offsetof(Elf32_Ehdr, e_phnum), 2);
	size_t size = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	for (; count && at < head->len && size <= head->len - at; count--, at += size) {
		uint64_t name = wide ? number_at(head, at + offsetof(Elf64_Phdr, p_offset), 8)
				     : number_at(head, at + offsetof(Elf32_Phdr, p_offset), 4);

		if (number_at(head, at, 4) == PT_INTERP)
			return name < head->len ? head->bytes + name : NULL;
	}
	return NULL;
}

/* What a file needs to run: the loader of an ELF program, the first word after "#!". */
static const char *interpreter(struct head *head)
{
	char *word;

	if (is_elf(head))
		return loader(head);
	if (strncmp(head->bytes, "#!", 2) != 0)
		return NULL;
	word = head->bytes + 2;
	word += strspn(word, " \t");
	word[strcspn(word, " \t\n")] = '\0';
	return word;
}

/* Follow interpreters until one is missing: of a script it may be the loader of its
 * shell. */
static int explain_absent(const char *file, struct why *why)
{
	struct head head;
	char asks[PROGRAM_PATH_MAX], needed[PROGRAM_PATH_MAX];
	struct stat st;

	snprintf(asks, sizeof(asks), "%s", file);
	for (int i = 0; i < INTERPRETERS; i++) {
		const char *next = read_head(&head, asks) < 0 ? NULL : interpreter(&head);

		if (!next)
			break;
		snprintf(needed, sizeof(needed), "%s", next);
		if (stat(needed, &st) < 0) {
			if (i)
				why_set(why, "%s: is there, but not %s, the interpreter of %s",
					file, needed, asks);
			else
				why_set(why, "%s: is there, but not its interpreter %s", file,
					needed);
			return PROGRAM_NOT_FOUND;
		}
		memcpy(asks, needed, sizeof(asks));
	}
	why_set(why, "%s: not found", file);
	return PROGRAM_NOT_FOUND;
}

static const char *machine_name(unsigned machine)
{
	static const struct {
		unsigned machine;
		const char *name;
	} names[] = {
		{EM_X86_64, "amd64"},
		{EM_AARCH64, "arm64"},
		{EM_386, "386"},
		{EM_ARM, "arm"},
		{EM_RISCV, "riscv64"},
		{EM_PPC64, "ppc64le"},
		{EM_S390, "s390x"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another machine";
}

static void explain_format(const char *file, struct why *why)
{
	struct head head;
	Elf32_Ehdr elf; /* up to e_machine both classes are the same */

	if (read_head(&head, file) < 0 || !is_elf(&head) || head.len < sizeof(elf)) {
		why_set(why, "%s: is neither an ELF program nor a script that begins with #!",
			file);
		return;
	}
	memcpy(&elf, head.bytes, sizeof(elf));
	if (elf.e_machine == MACHINE)
		why_set(why, "%s: is an ELF file that this kernel cannot run", file);
	else
		why_set(why, "%s: is a program for %s, and this is %s", file,
			machine_name(elf.e_machine), machine_name(MACHINE));
}

int program_explain(const char *file, int number, struct why *why)
{
	if (number == ENOENT || number == ENOTDIR)
		return explain_absent(file, why);
	if (number == ENOEXEC)
		explain_format(file, why);
	else
		why_set(why, "run %s: %s", file, strerror(number));
	return PROGRAM_NOT_EXECUTABLE;
}
