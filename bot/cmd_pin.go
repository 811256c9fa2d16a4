package bot

// pin takes the expiry away.
func pin(r *run) answer {
	if a, ok := r.noArguments(); !ok {
		return a
	}
	if a, ok := r.present(); !ok {
		return a
	}
	if !r.env.Pin(r.Now) {
		return said("it is pinned already", "The preview is pinned already.")
	}
	return done("pinned")
}
