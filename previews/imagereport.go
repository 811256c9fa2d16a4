package previews

// ImageReport is what a workflow said that it built.
type ImageReport struct {
	RepositoryID int64
	// SHA is the commit that the image was built from, all 40 digits of it.
	SHA     string
	Service string
	// Digest is the image's, "sha256:…".
	Digest string
	// Run names the workflow run that said so, such as "acme/web/.github/workflows/ci.yml@refs/heads/main, run 12".
	Run string
}
