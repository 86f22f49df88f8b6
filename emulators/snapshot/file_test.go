package snapshot

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"carillon.example/emulators/snapshot/snapshottest"
	"carillon.example/emulators/testcloud/check"
)

const former, next = "the former content", "what is written next, and longer"

// newFile returns the path of a file with the former content.
func newFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, []byte(former), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAFileIsReplaced(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	p, err := Prepare(path, func(w io.Writer) error { _, err := io.WriteString(w, next); return err })
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, contentOf(t, path), former, "the content before Commit")
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	check.Equal(t, contentOf(t, path), next, "the content after Commit")
	check.Equal(t, namesIn(t, filepath.Dir(path)), []string{"state"}, "the files in the folder")

	found, err := Load(path, func(r io.Reader) error {
		text, err := io.ReadAll(r)
		check.Equal(t, string(text), next, "the content that Load reads")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, found, true, "whether the file is found")
}

// TestAWriteThatFailsLeavesTheFormerFile fails at each offset of the new content.
func TestAWriteThatFailsLeavesTheFormerFile(t *testing.T) {
	t.Parallel()
	path := newFile(t)
	for offset := range len(next) {
		_, err := Prepare(path, func(w io.Writer) error {
			l := &snapshottest.Limited{Left: offset}
			_, failed := io.WriteString(l, next)
			if _, err := l.Written.WriteTo(w); err != nil {
				t.Fatal(err)
			}
			return failed
		})
		check.Error(t, "a write that fails", err, "the disk is full")
		check.MustEqual(t, contentOf(t, path), former, "the content after a write that failed at byte %d", offset)
		check.MustEqual(t, namesIn(t, filepath.Dir(path)), []string{"state"}, "the files in the folder")
	}
}

// TestAProcessThatIsKilledLeavesTheFormerFile leaves, for each offset, what a process leaves that
// is killed there. The next process must read the former file and be able to replace it.
func TestAProcessThatIsKilledLeavesTheFormerFile(t *testing.T) {
	t.Parallel()
	for offset := range len(next) + 1 {
		path := newFile(t)
		if err := os.WriteFile(path+unfinished, []byte(next + " and more")[:offset], 0o600); err != nil {
			t.Fatal(err)
		}
		check.MustEqual(t, contentOf(t, path), former, "the content after a process was killed at byte %d", offset)

		p, err := Prepare(path, func(w io.Writer) error { _, err := io.WriteString(w, "short"); return err })
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Commit(); err != nil {
			t.Fatal(err)
		}
		check.MustEqual(t, contentOf(t, path), "short", "the content that the next process writes")
	}
}

func TestAFileThatDoesNotExistIsNotFound(t *testing.T) {
	t.Parallel()
	found, err := Load(filepath.Join(t.TempDir(), "state"), func(io.Reader) error { return errors.New("was called") })
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, found, false, "whether the file is found")
}

// TestAFolderBelongsToOneProcess locks a folder twice. A lock belongs to an open file, so both
// may be in one process.
func TestAFolderBelongsToOneProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	l, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = LockFolder(dir)
	check.Error(t, "locking the folder again", err, "the folder "+dir+" is in use by the process ")

	l.Release()
	l, err = LockFolder(dir)
	if err != nil {
		t.Fatalf("locking the folder after it was released: %v", err)
	}
	l.Release()
}
