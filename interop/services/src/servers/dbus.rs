//! A message bus of D-Bus.

use super::keeper::{Kind, Scratch, Server};
use super::program::find;

/// Starts a bus to which all users may connect. `None` if dbus-daemon is not installed.
pub fn start() -> Option<Server> {
    let program = find("dbus-daemon")?;
    let kind = Kind {
        signal: "TERM",
        // With --print-address.
        ready: "unix:path=",
        url: |folder, _| format!("unix:path={}/bus", folder.display()),
    };
    let scratch = Scratch::new("dbus");
    let configuration = format!(
        r#"<busconfig>
            <type>session</type>
            <listen>unix:path={}/bus</listen>
            <auth>EXTERNAL</auth>
            <policy context="default">
                <allow user="*"/>
                <allow own="*"/>
                <allow send_destination="*"/>
                <allow receive_sender="*"/>
            </policy>
        </busconfig>"#,
        scratch.path().display()
    );
    scratch.write("bus.conf", &configuration);
    Some(Server::start(kind, scratch, |_, _| {
        let mut arguments = vec![program.clone().into_os_string()];
        let rest = ["--config-file=bus.conf", "--nofork", "--print-address"];
        arguments.extend(rest.map(Into::into));
        arguments
    }))
}
