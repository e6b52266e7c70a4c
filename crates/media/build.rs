//! Builds the small C part that talks to the system's libvpx.

fn main() {
    println!("cargo:rerun-if-changed=native");
    let vpx = pkg_config::Config::new()
        .atleast_version("1.8")
        .cargo_metadata(false)
        .probe("vpx")
        .unwrap_or_else(|error| {
            panic!("libvpx 1.8 or newer with headers is needed (Debian: apt-get install libvpx-dev): {error}")
        });
    cc::Build::new()
        .file("native/vp8.c")
        .includes(&vpx.include_paths)
        .flag_if_supported("-std=c11")
        .warnings(true)
        .compile("greenroom_vp8");
    // After the object that needs it, for linkers that resolve from left to right.
    link(&vpx);
}

/// Prefers the static library, so that the wheel needs no libvpx where it is installed.
fn link(vpx: &pkg_config::Library) {
    if let Some(folder) = static_library_folder() {
        println!("cargo:rustc-link-search=native={}", folder.display());
        println!("cargo:rustc-link-lib=static=vpx");
        println!("cargo:rustc-link-lib=m");
        return;
    }
    for path in &vpx.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    for library in &vpx.libs {
        println!("cargo:rustc-link-lib={library}");
    }
}

/// Where the C compiler finds libvpx.a; Debian's vpx.pc does not name its multi-architecture folder.
fn static_library_folder() -> Option<std::path::PathBuf> {
    let mut compiler = cc::Build::new().get_compiler().to_command();
    let output = compiler.arg("-print-file-name=libvpx.a").output().ok()?;
    let path = std::path::PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_absolute()
        .then(|| path.parent().map(ToOwned::to_owned))
        .flatten()
}
