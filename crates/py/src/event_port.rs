//! `EventPort`: what the engine has to tell one asyncio loop.

use greenroom_net::{Event, Payload};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::driver::Driver;
use crate::error::{closed, engine_error};
use crate::event_kinds;
use crate::simulator::{Simulator, ip};

/// The way from worker threads to one asyncio loop: a bounded queue behind one file descriptor.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct EventPort {
    port: greenroom_net::EventPort,
    driver: Driver,
}

impl EventPort {
    /// The port itself, for the objects that report through it.
    pub fn port(&self) -> greenroom_net::EventPort {
        self.port.clone()
    }

    /// What runs the objects that report through it.
    pub fn driver(&self) -> Driver {
        self.driver.clone()
    }
}

#[pymethods]
impl EventPort {
    #[new]
    #[pyo3(signature = (*, simulator = None, address = None))]
    fn new(simulator: Option<&Simulator>, address: Option<&str>) -> PyResult<EventPort> {
        let port = greenroom_net::EventPort::new(event_kinds::FAILED).map_err(|error| {
            engine_error(format_args!(
                "no event descriptor: {error}; raise the limit of open files"
            ))
        })?;
        let driver = match simulator {
            None => Driver::Threads,
            Some(simulator) => {
                simulator.simulator.watch(port.clone());
                let address = ip(address.unwrap_or("127.0.0.1"))?;
                Driver::Simulator(simulator.simulator.clone(), address)
            }
        };
        Ok(EventPort { port, driver })
    }

    fn fileno(&self) -> PyResult<i32> {
        self.port.fileno().ok_or_else(|| closed("EventPort"))
    }

    #[pyo3(signature = (limit = 1024))]
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let events = self.port.drain(limit);
        let list = PyList::empty(py);
        for event in events {
            list.append(to_python(py, event)?)?;
        }
        Ok(list)
    }

    fn close(&self) {
        self.port.close();
    }
}

fn to_python(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    let payload = match event.payload {
        Payload::None => py.None().into_bound(py),
        Payload::Integer(value) => value.into_pyobject(py)?.into_any(),
        Payload::Text(text) => text.into_pyobject(py)?.into_any(),
        Payload::Channel(channel, label) => (channel, label).into_pyobject(py)?.into_any(),
        Payload::Message(channel, data) => (channel, PyBytes::new(py, &data)).into_pyobject(py)?.into_any(),
        Payload::Layers(layers) => PyTuple::new(py, layers)?.into_any(),
    };
    (event.handle, event.kind, payload).into_pyobject(py)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EventPort>()
}
