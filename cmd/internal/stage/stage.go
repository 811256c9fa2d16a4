// Package stage is what the real idp is played on: the program as a process, and on
// loopback beside it the stand-in GitHub, git over HTTP and a database. faulttest breaks
// what stands on it, loadtest measures it.
//
// A Stage owns what it started and the folder below which all of it is; Close ends it.
// Nothing of it reaches beyond loopback.
package stage

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

const (
	// Org owns all repositories.
	Org = "acme"
	// GitOpsRepository is the GitOps repository's name, in git and on GitHub.
	GitOpsRepository = Org + "/gitops"
	// Branch is the GitOps repository's branch.
	Branch = "main"
	// Developer opens the pull requests and writes the comments.
	Developer = "alice"
	// Patience is how long one thing of the stage's own may take.
	Patience = time.Minute
	// deliverers is how many webhooks GitHub has in flight at once.
	deliverers = 8
)

// DeploySpec is what the repositories deploy.
const DeploySpec = "service:\n  name: web\n  port: 8080\n"

// Stage is all that idp works with.
type Stage struct {
	// Dir is the folder of it all; Close leaves it behind where it is "".
	Dir string
	// Disk is where the database and the clones are: Dir's "disk".
	Disk   string
	GitHub *githubtest.Server
	App    *githubtest.App
	// Installation is the App's.
	Installation *githubtest.Installation
	Git          *gittest.Server
	GitOps       *gittest.Repository
	// Hand is who may push by hand, as "user:password".
	Hand string
	// Postgres is nil where the database is a file. Database is its URL.
	Postgres *postgrestest.Server
	Database string
}

// New makes the folder.
func New(prefix string) (*Stage, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	s := &Stage{Dir: dir, Disk: filepath.Join(dir, "disk"), Hand: "hand:" + RandomHex(16)}
	if err := os.Mkdir(s.Disk, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("make a folder: %w", err), os.RemoveAll(dir))
	}
	return s, nil
}

// Close ends what was started, and removes the folder.
func (s *Stage) Close() error {
	var errs []error
	if s.GitHub != nil {
		errs = append(errs, s.GitHub.Close())
	}
	if s.Git != nil {
		errs = append(errs, s.Git.Close())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Close())
	}
	if s.Dir != "" {
		errs = append(errs, os.RemoveAll(s.Dir))
	}
	return errors.Join(errs...)
}

// appKey is one key for the Apps of all stages, whose making takes as long as a stage.
var appKey = sync.OnceValues(func() (made struct {
	key *rsa.PublicKey
	pem []byte
}, err error) {
	key, pem, err := githubtest.GenerateKey()
	if err == nil {
		made.key, made.pem = &key.PublicKey, pem
	}
	return made, err
})

// StartGitHub starts the stand-in GitHub with the App and its organisation; middleware, when
// set, sees each request to the API.
func (s *Stage) StartGitHub(seed uint64, middleware func(http.Handler) http.Handler) error {
	made, err := appKey()
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.KeyFile(), made.pem, 0o600); err != nil {
		return fmt.Errorf("write the App's key: %w", err)
	}
	// Nobody is refused for being fast: that is for the pace to see to, which is off.
	s.GitHub = githubtest.New(githubtest.Options{Seed: seed, DeliveryWorkers: deliverers, Limits: &githubtest.Limits{}, Middleware: middleware})
	if err := s.GitHub.Start(); err != nil {
		return err
	}
	permissions := githubtest.DefaultPermissions()
	permissions["contents"] = "write" // the App writes the GitOps repository too
	s.App = s.GitHub.AddApp(githubtest.AppOptions{Key: made.key, Permissions: permissions})
	s.GitHub.AddOrganization(Org)
	s.Installation = s.App.Install(Org, githubtest.InstallOptions{})
	s.GitHub.AddRepository(GitOpsRepository, githubtest.RepositoryOptions{Private: true})
	s.GitHub.AddUser(Developer)
	return nil
}

// KeyFile is the App's private key, which StartGitHub writes.
func (s *Stage) KeyFile() string { return filepath.Join(s.Dir, "app.pem") }

// StartGit serves an empty GitOps repository, to whom GitHub's tokens let in, and to Hand.
func (s *Stage) StartGit(ctx context.Context) (err error) {
	if s.Git, err = gittest.Start(ctx, filepath.Join(s.Dir, "git")); err != nil {
		return err
	}
	s.Git.RequireAuth(func(name, user, password string, push bool) bool {
		if user+":"+password == s.Hand {
			return true
		}
		level := "read"
		if push {
			level = "write"
		}
		return s.GitHub.TokenAllows(password, name, "contents", level)
	})
	s.GitOps, err = s.Git.Create(ctx, GitOpsRepository)
	return err
}

// DatabaseFile is the database where it is SQLite's.
func (s *Stage) DatabaseFile() string { return filepath.Join(s.Disk, "idp.db") }

// StartDatabase starts PostgreSQL, or names a SQLite file that there is not yet.
func (s *Stage) StartDatabase(postgres bool) (err error) {
	if !postgres {
		s.Database = "sqlite://" + s.DatabaseFile()
		return nil
	}
	if s.Postgres, err = postgrestest.Start(); err != nil {
		return err
	}
	s.Database, err = s.Postgres.Create("idp")
	return err
}

// WithStore opens the database beside whoever serves from it.
func (s *Stage) WithStore(ctx context.Context, do func(*store.Store) error) (err error) {
	opened, err := store.Open(ctx, store.Options{URL: s.Database, Existing: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return do(opened)
}

// Environment is the configuration of an idp on this stage whose paces are off, and that
// does not look for images. gitopsURL is what it writes to, such as GitOps.URL, and state
// the name of its folder on the disk.
func (s *Stage) Environment(secret, gitopsURL, state string) []string {
	return []string{
		"HOME=" + s.Dir, "PATH=" + os.Getenv("PATH"), "IDP_LOG_FORMAT=json",
		"IDP_LISTEN=127.0.0.1:0", "IDP_METRICS_LISTEN=127.0.0.1:0",
		"IDP_DATABASE_URL=" + s.Database, "IDP_STATE_DIR=" + filepath.Join(s.Disk, state),
		"IDP_GITHUB_API_URL=" + s.GitHub.URL(), fmt.Sprint("IDP_GITHUB_APP_ID=", s.App.ID()),
		"IDP_GITHUB_PRIVATE_KEY_FILE=" + s.KeyFile(), "IDP_GITHUB_WEBHOOK_SECRET=" + secret,
		"IDP_GITOPS_URL=" + gitopsURL, "IDP_GITOPS_READ_URL=" + s.GitOps.URL,
		"IDP_PREVIEW_DOMAIN=preview.example.com", "IDP_IMAGE_CHECK=off",
		"IDP_GITOPS_PUSHES_PER_MINUTE=0", "IDP_GITHUB_WRITES_PER_MINUTE=0",
	}
}

// Build builds idp as the file to. tags are build tags, "" for none.
func Build(ctx context.Context, to, tags string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-tags="+tags, "-o", to, "github.com/idp-bot/idp/cmd/idp")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build idp: %w\n%s", err, out)
	}
	return nil
}

// RandomHex returns n random bytes in hexadecimal.
func RandomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
