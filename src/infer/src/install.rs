//! Fetching ONNX Runtime into a workspace: the wheel, with the ordinary client, of which only the libraries are kept.

use crate::error::Kind;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The version that is fetched.
pub const ORT_VERSION: &str = "1.31.1";

/// What was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The library.
    pub library: PathBuf,
    /// What was asked of the client, such as `onnxruntime==1.31.1`.
    pub package: String,
    /// Whether it was there before.
    pub already: bool,
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No wheel is made for this machine.
    #[error("there is no wheel of {package} for {system} on {machine}")]
    Platform {
        /// The package.
        package: String,
        /// The operating system.
        system: &'static str,
        /// The processor.
        machine: &'static str,
    },
    /// The client could not be started.
    #[error("`{program}` could not be started")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The client ended with an error.
    #[error("`{command}` failed: {output}")]
    Client {
        /// The command line.
        command: String,
        /// The last lines that it wrote.
        output: String,
    },
    /// A file could not be written.
    #[error("{path} could not be written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The wheel holds no library.
    #[error("{package} holds no library of ONNX Runtime")]
    NoLibrary {
        /// The package.
        package: String,
    },
}

impl InstallError {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Machine
    }
}

/// Takes `onnxruntime/capi/lib*` out of the wheels of a folder.
const UNPACK: &str = "import glob, sys, zipfile
for wheel in glob.glob(sys.argv[1] + '/*.whl'):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith('onnxruntime/capi/lib') and '..' not in name:
                archive.extract(name, sys.argv[2])
";

/// Fetches ONNX Runtime into `<workspace>/.ort/` with `python3 -m pip`; with `gpu` the CUDA build and the CUDA and
/// cuDNN libraries beside it (about 3 GB).
///
/// Does nothing where the same is there already. A library appears whole or not at all: everything is unpacked aside
/// and moved.
pub fn install(workspace: &Path, gpu: bool, python: &str) -> Result<Installed, InstallError> {
    let package = package(gpu);
    let root = workspace.join(".ort");
    let (marker, target) = (root.join("installed.txt"), root.join("onnxruntime"));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| InstallError::Io { path, source }
    };
    if std::fs::read_to_string(&marker).is_ok_and(|text| text.trim() == package)
        && let Some(library) = library(&target)
    {
        return Ok(Installed { library, package, already: true });
    }
    std::fs::create_dir_all(&root).map_err(io(&root))?;
    let aside = root.join(format!("incoming-{}", std::process::id()));
    let unpacked = aside.join("unpacked");
    std::fs::create_dir_all(&unpacked).map_err(io(&unpacked))?;
    let cleanup = Cleanup(&aside);
    if gpu {
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target"]);
        run(pip.arg(&unpacked).arg(&package))?;
    } else {
        let wheels = aside.join("wheels");
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]);
        pip.args(["--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp", "--platform"]);
        run(pip.arg(platform(&package)?).arg("-d").arg(&wheels).arg(&package))?;
        run(Command::new(python).args(["-c", UNPACK]).arg(&wheels).arg(&unpacked))?;
    }
    if library(&unpacked.join("onnxruntime")).is_none() {
        return Err(InstallError::NoLibrary { package });
    }
    // The marker goes first, so that it never names what is not there.
    remove(&marker).map_err(io(&marker))?;
    for name in ["onnxruntime", "nvidia"] {
        let (from, to) = (unpacked.join(name), root.join(name));
        remove(&to).map_err(io(&to))?;
        if from.exists() {
            std::fs::rename(&from, &to).map_err(io(&to))?;
        }
    }
    std::fs::write(&marker, format!("{package}\n")).map_err(io(&marker))?;
    drop(cleanup);
    let library = library(&target).ok_or_else(|| InstallError::NoLibrary { package: package.clone() })?;
    Ok(Installed { library, package, already: false })
}

/// What is asked of the client.
fn package(gpu: bool) -> String {
    if gpu { format!("onnxruntime-gpu[cuda,cudnn]=={ORT_VERSION}") } else { format!("onnxruntime=={ORT_VERSION}") }
}

fn platform(package: &str) -> Result<&'static str, InstallError> {
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    match (system, machine) {
        ("linux", "x86_64") => Ok("manylinux_2_28_x86_64"),
        ("linux", "aarch64") => Ok("manylinux_2_28_aarch64"),
        ("macos", "aarch64") => Ok("macosx_14_0_arm64"),
        _ => Err(InstallError::Platform { package: package.to_owned(), system, machine }),
    }
}

fn library(onnxruntime: &Path) -> Option<PathBuf> {
    let search = crate::Search { library: Some(onnxruntime.join("capi")), ..crate::Search::default() };
    crate::runtime::candidates(&search).into_iter().map(|(_, path)| path).find(|path| path.is_file())
}

fn run(command: &mut Command) -> Result<(), InstallError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| InstallError::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    let line: Vec<String> = std::iter::once(program).chain(words.filter(|word| !word.contains('\n'))).collect();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    Err(InstallError::Client { command: line.join(" "), output: last.into_iter().rev().collect::<Vec<_>>().join("; ") })
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    }
}

/// Removes what was fetched aside, whatever happened.
struct Cleanup<'a>(&'a Path);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A stand-in for Python: logs its arguments, and makes what the client or the unpacking would make.
    fn python(folder: &Path, works: bool) -> String {
        let script = folder.join("python3");
        let last =
            if works { "touch \"$4/onnxruntime/capi/libonnxruntime.so.1.31.1\"" } else { "echo no luck >&2; exit 1" };
        let text = format!(
            "#!/bin/sh\necho \"$1 $3\" >> {0}/log\nif [ \"$1\" = -c ]; then\n  mkdir -p \"$4/onnxruntime/capi\"\n  {last}\nfi\n",
            folder.display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script.to_string_lossy().into_owned()
    }

    #[test]
    fn a_library_is_fetched_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let failing = python(folder.path(), false);
        let error = install(folder.path(), false, &failing).unwrap_err();
        assert!(error.to_string().ends_with("no luck"), "{error}");
        let left: Vec<_> = std::fs::read_dir(folder.path().join(".ort")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");

        let working = python(folder.path(), true);
        let first = install(folder.path(), false, &working).unwrap();
        assert!(!first.already && first.library.is_file());
        assert_eq!(first.package, format!("onnxruntime=={ORT_VERSION}"));
        let calls = || std::fs::read_to_string(folder.path().join("log")).unwrap().lines().count();
        let before = calls();
        let second = install(folder.path(), false, &working).unwrap();
        assert!(second.already && calls() == before);
        // A library that is gone is fetched again.
        std::fs::remove_file(&first.library).unwrap();
        assert!(!install(folder.path(), false, &working).unwrap().already);
        // And found where the program looks.
        let search = crate::Search { workspace: Some(folder.path().to_owned()), ..crate::Search::default() };
        assert_eq!(crate::runtime::candidates(&search)[0].1, first.library);
    }

    #[test]
    fn no_python_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let error = install(folder.path(), false, "/nonexistent/python3").unwrap_err();
        assert!(matches!(error, InstallError::Start { .. }));
    }

    /// A wheel as the client wants it, with a library's name and no code, in `folder`.
    const WHEEL: &str = "import sys, zipfile
version, platform = sys.argv[2], sys.argv[3]
info = f'onnxruntime-{version}.dist-info/'
with zipfile.ZipFile(f'{sys.argv[1]}/onnxruntime-{version}-cp312-cp312-{platform}.whl', 'w') as wheel:
    wheel.writestr(info + 'METADATA', f'Metadata-Version: 2.1\\nName: onnxruntime\\nVersion: {version}\\n')
    wheel.writestr(info + 'WHEEL', f'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp312-cp312-{platform}\\n')
    wheel.writestr(info + 'RECORD', '')
    wheel.writestr(f'onnxruntime/capi/libonnxruntime.so.{version}', 'the library')
    wheel.writestr('onnxruntime/capi/_pybind_state.py', 'the rest')
";

    /// The client itself, kept from the network: it finds the wheel in a folder.
    #[test]
    #[cfg(target_os = "linux")]
    #[allow(clippy::print_stderr)]
    fn the_client_brings_the_library_and_nothing_else() {
        let ready = Command::new("python3").args(["-m", "pip", "--version"]).output();
        let (Ok(platform), true) = (platform("onnxruntime"), ready.is_ok_and(|output| output.status.success())) else {
            eprintln!("SKIPPED: no pip here, or no wheel for this machine");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let wheels = folder.path().join("wheels");
        std::fs::create_dir(&wheels).unwrap();
        run(Command::new("python3").args(["-c", WHEEL]).arg(&wheels).args([ORT_VERSION, platform])).unwrap();
        let python = folder.path().join("python3");
        let script =
            "#!/bin/sh\nunset PIP_INDEX_URL PIP_EXTRA_INDEX_URL\nexport PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1";
        let script = format!("{script} PIP_FIND_LINKS='{}'\nexec python3 \"$@\"\n", wheels.display());
        std::fs::write(&python, script).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let installed = install(folder.path(), false, &python.to_string_lossy()).unwrap();
        assert_eq!(std::fs::read_to_string(&installed.library).unwrap(), "the library");
        assert!(!installed.library.with_file_name("_pybind_state.py").exists());
        // What is not in the folder is the client's error, in its words.
        std::fs::remove_dir_all(&wheels).unwrap();
        std::fs::remove_file(&installed.library).unwrap();
        let error = install(folder.path(), false, &python.to_string_lossy()).unwrap_err();
        assert!(matches!(&error, InstallError::Client { output, .. } if output.contains("onnxruntime")), "{error}");
    }
}
